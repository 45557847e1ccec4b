package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class PlanCommandTest {
  private static final String MODEL = ",heads=4,layers=4,head-size=32";

  @Test
  void plan_unequalEngines_countsPerRank() {
    // A token takes 4 layers * 2 * 4 heads * 32 * 2 bytes = 2 KiB. Whole blocks: 100 tokens are 7
    // prefill blocks, so 112 tokens; a decode rank has half of the heads.
    List<String> lines = plan("tp=1,block=16", "tp=2,block=32", "--tokens", "100");

    assertThat(lines)
        .contains("100 tokens: 7 prefill blocks, 4 decode blocks")
        .contains(row("0", "0", 56, 102_400, 114_688))
        .contains(row("1", "0", 56, 102_400, 114_688))
        .anyMatch(line -> line.matches("all +112 +204800 +229376"));
  }

  @Test
  void plan_exact_movesWhatIsNeeded() {
    List<String> lines = plan("tp=1,block=16", "tp=2,block=32", "--tokens", "100", "--exact");

    assertThat(lines).anyMatch(line -> line.matches("all +112 +204800 +204800"));
  }

  @Test
  void plan_moreRanksOnPrefill_namesThemAll() {
    List<String> lines = plan("tp=4", "tp=2");

    assertThat(lines)
        .anyMatch(line -> line.startsWith("0 ") && line.contains("0, 1"))
        .anyMatch(line -> line.startsWith("1 ") && line.contains("2, 3"));
  }

  @Test
  void plan_drawsABlock() {
    assertThat(plan("tp=1,block=16", "tp=2,block=32", "--rank", "1"))
        .anyMatch(line -> line.contains("target rank tp1"))
        .anyMatch(line -> line.contains("head 2, token 16-31"));
  }

  @Test
  void plan_slidingWindow_movesTheWindow() {
    List<String> all = plan("tp=1", "tp=1", "--tokens", "1024");
    List<String> window = plan("tp=1,window=64", "tp=1,window=64", "--tokens", "1024");

    assertThat(total(window)).isLessThan(total(all)).isPositive();
  }

  /** In half of the layers two blocks of four, or three of five where the window begins in one. */
  @Test
  void plan_slidingWindow_movesTheBlocksThatItTouches() {
    for (int[] each : new int[][] {{128, 6, 8}, {129, 8, 10}}) {
      String[] tokens = {"--tokens", "" + each[0]};
      long all = total(plan("tp=1,block=32", "tp=1,block=32", tokens));
      long window = total(plan("tp=1,block=32,window=64", "tp=1,block=32,window=64", tokens));

      assertThat(window * each[2]).as("%d tokens", each[0]).isEqualTo(all * each[1]);
    }
  }

  @Test
  void transfer_enginesThatFit_readThemselves() {
    List<String> lines = plan("tp=1,block=16", "tp=2,block=16", "--transfer", "auto");

    assertThat(lines).contains("transfer auto: engine");
    assertThat(reads(lines)).containsExactly("decode prefill prefill 2064384 0");
  }

  @Test
  void transfer_partsOfBlocks_areBridged() {
    // 1000 tokens are 63 decode blocks of 16; what they have no place for is not read.
    List<String> lines =
        plan("tp=1,block=64,layout=nhd", "tp=1,block=16,layout=nhd", "--transfer", "auto");

    assertThat(lines)
        .contains("transfer auto: bridge")
        .anyMatch(line -> line.startsWith("not by engine: "));
    assertThat(reads(lines)).containsExactly("decode prefill agent 2064384 0");
  }

  @Test
  void transfer_unequalBlocks_areRelayedWithOneCopy() {
    // 1000 tokens are 16 decode blocks of 64; what they have no place for is not read.
    List<String> lines = plan("tp=1,block=96", "tp=1,block=64", "--transfer", "auto");

    assertThat(lines)
        .contains("transfer auto: relay")
        .anyMatch(line -> line.startsWith("not by engine: "))
        .anyMatch(line -> line.startsWith("not by bridge: "));
    assertThat(reads(lines))
        .containsExactly("agent prefill prefill 2097152 1", "decode agent agent 2097152 0");
  }

  @Test
  void transfer_wayThatDoesNotFit_isNotSo() {
    CommandLineRun run =
        CommandLineRun.of(
                "plan",
                "--prefill=tp=1,block=96" + MODEL,
                "--decode=tp=1,block=64" + MODEL,
                "--transfer=engine")
            .assertFailed(1);

    assertThat(run.err()).contains("transfer engine: no way").contains("not by engine: ");
  }

  /** The rows of the table of who reads what, single spaces between cells. */
  private static List<String> reads(List<String> lines) {
    return lines.stream()
        .dropWhile(line -> !line.startsWith("who "))
        .skip(1)
        .map(line -> line.strip().replaceAll(" +", " "))
        .filter(line -> line.startsWith("agent ") || line.startsWith("decode "))
        .toList();
  }

  @Test
  void plan_otherModels_isNotSo() {
    CommandLineRun run =
        CommandLineRun.of("plan", "--prefill", "layers=4", "--decode", "layers=5").assertFailed(1);

    assertThat(run.err()).startsWith("millrace: no plan: ").contains("4").contains("5");
  }

  @Test
  void plan_unknownKey_isAUsageError() {
    CommandLineRun run =
        CommandLineRun.of("plan", "--prefill", "tp=1,blok=16", "--decode", "tp=1").assertFailed(2);

    assertThat(run.err()).contains("--prefill").contains("blok");
  }

  @Test
  void plan_headsThatDoNotDivide_isAUsageError() {
    CommandLineRun.of("plan", "--prefill", "tp=3,heads=4", "--decode", "tp=1").assertFailed(2);
  }

  @Test
  void plan_rankThatIsNotThere_isAUsageError() {
    CommandLineRun run =
        CommandLineRun.of("plan", "--prefill", "tp=1", "--decode", "tp=2", "--rank", "2")
            .assertFailed(2);

    assertThat(run.err()).contains("--rank is 2, the decode engine has ranks 0 to 1");
  }

  @Test
  void plan_noTokens_isAUsageError() {
    CommandLineRun.of("plan", "--prefill", "tp=1", "--decode", "tp=2", "--tokens", "0")
        .assertFailed(2);
  }

  private static List<String> plan(String prefill, String decode, String... more) {
    String[] arguments = new String[5 + more.length];
    arguments[0] = "plan";
    arguments[1] = "--prefill";
    arguments[2] = prefill + MODEL;
    arguments[3] = "--decode";
    arguments[4] = decode + MODEL;
    System.arraycopy(more, 0, arguments, 5, more.length);
    return CommandLineRun.of(arguments).assertDone().out().lines().toList();
  }

  private static String row(String rank, String from, long runs, long needed, long moved) {
    return "%-11s  %10s  %4d  %12d  %6d  %12d  %6d"
        .formatted(rank, from, runs, needed, moved, 2048, 2048);
  }

  private static long total(List<String> lines) {
    String all = lines.stream().filter(line -> line.startsWith("all ")).findFirst().orElseThrow();
    return Long.parseLong(all.substring(all.lastIndexOf(' ') + 1));
  }
}
