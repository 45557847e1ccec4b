package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.cli.VllmEngines.Address;
import dev.millrace.layout.CacheGroup.SlidingWindow;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.GeometryText;
import dev.millrace.layout.Rounding;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Pairs of real vLLM engines of unequal shapes: what {@code millrace check} says of a pair is what
 * the pair does, and with {@code transfer: auto} those that vLLM refuses or gets wrong answer
 * right.
 *
 * <p>Right is what the prefill engine answers alone: it has the tensor parallelism and the block
 * size by which the blocks were computed.
 */
@Tag("vllm")
class RealVllmPairsTest {
  private static final int[] LENGTHS = {
    1, 2, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129, 500, 1000
  };

  /** Fewer, for what vLLM does without us. */
  private static final int[] DIRECT_LENGTHS = {2, 31, 32, 33, 65, 128, 500};

  private static final int MAX_TOKENS = 24;
  private static final String COMPLETIONS = "/v1/completions";
  private static final String DENSE = "layers: 4, kv-heads: 4, head-size: 32, dtype: %s";

  private static final Pattern HASH = Pattern.compile("\\b([0-9a-f]{8})[0-9a-f]{56}\\b");

  @TempDir static Path folder;
  private static final Random RANDOM = new Random();
  private static final List<String> ROWS = new ArrayList<>();

  /** What vLLM's own transfer does with a pair. */
  enum Reality {
    RIGHT,
    WRONG,
    REFUSES
  }

  /** One direction of a pair. */
  private record Expected(String name, String prefill, String decode, Reality reality, String way) {
    GeometrySpec source() {
      return GeometryText.parse(prefill);
    }

    GeometrySpec target() {
      return GeometryText.parse(decode);
    }

    /**
     * Bytes of a prompt that the decode engine has not seen. A relay serves it blocks of its own
     * geometry.
     *
     * <p>A decode engine computes the last token of the prompt again. vLLM 0.32.0 reads for a
     * window what the token after that sees, which is a block less than it needs where the window
     * begins in the last place of a block: as if the prompt were a token longer.
     */
    long planned(int tokens) {
      GeometrySpec from = way.equals("relay") ? target() : source();
      boolean lessThanNeeded = hasWindow() && (tokens + 1) % target().blockSize() == 0;
      return PlanReport.of(
              from, target(), lessThanNeeded ? tokens + 1 : tokens, Rounding.WHOLE_BLOCKS)
          .bytesMoved();
    }

    private boolean hasWindow() {
      return target().model().groups().stream().anyMatch(SlidingWindow.class::isInstance);
    }

    /**
     * Bytes of a prompt that the decode engine has answered before: it keeps full blocks, but
     * always computes one token, and so reads the block that has the last one.
     */
    long plannedAgain(int tokens) {
      int block = target().blockSize();
      int hit = (tokens - 1) / block;
      boolean whole =
          target().model().groups().stream()
              .allMatch(group ->
                  !(group instanceof SlidingWindow window)
                      || isKept(window.windowTokens(), block, tokens, hit));
      return planned(whole ? tokens - hit * block : tokens);
    }

    /**
     * Whether so many blocks are a prefix hit in a layer with a window: of the prompt, the blocks
     * are kept that were read; of a hit, those must be there that the window goes back over.
     */
    private static boolean isKept(int window, int block, int tokens, int hit) {
      int firstKept = Math.max(0, tokens + 1 - window) / block;
      return firstKept == 0 || hit - Math.ceilDiv(window - 1, block) >= firstKept;
    }
  }

  private static String geometry(int tp, int block, String more) {
    return "tp=%d,block=%d,layout=cpu,heads=4,layers=4,head-size=32,%s".formatted(tp, block, more);
  }

  /** Two engines, and the directions in which they are paired. */
  enum Engines {
    ALIKE(
        DENSE.formatted("fp32"),
        List.of(
            new Expected(
                "TP 1 → 1",
                geometry(1, 32, "dtype=fp32"),
                geometry(1, 32, "dtype=fp32"),
                Reality.RIGHT,
                "engine")),
        "--dtype float32"),
    BLOCKS(
        DENSE.formatted("fp32"),
        List.of(
            new Expected(
                "block 64 → 32",
                geometry(1, 64, "dtype=fp32"),
                geometry(1, 32, "dtype=fp32"),
                Reality.REFUSES,
                "relay"),
            new Expected(
                "block 32 → 64",
                geometry(1, 32, "dtype=fp32"),
                geometry(1, 64, "dtype=fp32"),
                Reality.WRONG,
                "relay")),
        "--dtype float32 --prefill-block 64 --decode-block 32"),
    RANKS(
        DENSE.formatted("fp32"),
        List.of(
            new Expected(
                "TP 1 → 2",
                geometry(1, 32, "dtype=fp32"),
                geometry(2, 32, "dtype=fp32"),
                Reality.RIGHT,
                "engine"),
            new Expected(
                "TP 2 → 1",
                geometry(2, 32, "dtype=fp32"),
                geometry(1, 32, "dtype=fp32"),
                Reality.RIGHT,
                "engine")),
        "--dtype float32 --prefill-tp 1 --decode-tp 2"),
    BLOCKS_AND_RANKS(
        DENSE.formatted("fp32"),
        List.of(
            new Expected(
                "TP 1 block 64 → TP 2 block 32",
                geometry(1, 64, "dtype=fp32"),
                geometry(2, 32, "dtype=fp32"),
                Reality.REFUSES,
                "relay"),
            new Expected(
                "TP 2 block 32 → TP 1 block 64",
                geometry(2, 32, "dtype=fp32"),
                geometry(1, 64, "dtype=fp32"),
                Reality.REFUSES,
                "relay")),
        "--dtype float32 --prefill-block 64 --decode-tp 2 --decode-block 32"),
    NAMES(
        DENSE.formatted("bf16"),
        List.of(
            new Expected(
                "the model by another path",
                geometry(1, 32, "dtype=bf16"),
                geometry(1, 32, "dtype=bf16"),
                Reality.REFUSES,
                "bridge")),
        "--decode-model ./model"),
    TYPES(
        DENSE.formatted("bf16"),
        List.of(
            new Expected(
                "bfloat16 → float32",
                geometry(1, 32, "dtype=bf16"),
                geometry(1, 32, "dtype=fp32"),
                Reality.REFUSES,
                "none")),
        "--decode-dtype float32"),
    WINDOW(
        DENSE.formatted("bf16") + ", window: 64",
        List.of(
            new Expected(
                "sliding window, two groups",
                geometry(1, 32, "dtype=bf16,window=64"),
                geometry(1, 32, "dtype=bf16,window=64"),
                Reality.RIGHT,
                "engine")),
        "--model model-window"),
    BOTH_OF_TWO(
        DENSE.formatted("fp32"),
        List.of(
            new Expected(
                "TP 2 → 2",
                geometry(2, 32, "dtype=fp32"),
                geometry(2, 32, "dtype=fp32"),
                Reality.RIGHT,
                "engine")),
        "--dtype float32 --prefill-tp 2 --decode-tp 2");

    private final String shape;
    private final List<Expected> directions;
    private final String options;

    Engines(String shape, List<Expected> directions, String options) {
      this.shape = shape;
      this.directions = directions;
      this.options = options;
    }
  }

  @BeforeAll
  static void assumeSetUp() {
    var _ = VllmEngines.assumeSetUpWithNixl(RealVllmPairsTest.class);
  }

  @AfterAll
  static void print() {
    System.out.println(
        """
        | pair | `check`, engine transfer | vLLM directly | D's log | by the router, `transfer: engine` | `transfer: auto` | equal to P's own | bytes predicted | bytes read |
        |---|---|---|---|---|---|--:|--:|--:|\
        """);
    ROWS.forEach(System.out::println);
  }

  @ParameterizedTest
  @EnumSource(Engines.class)
  void verdict_isWhatThePairDoes_andAutoAnswersRight(Engines which) throws Exception {
    List<String> options = new ArrayList<>(List.of("--aggregated", "no"));
    options.addAll(List.of(which.options.split(" ", -1)));
    try (VllmEngines engines = VllmEngines.up(options.toArray(String[]::new))) {
      VllmRouter.Pair pair = new VllmRouter.Pair(engines.prefill(), engines.decode(), which.shape);
      for (Expected expected : which.directions) {
        prove(engines, pair, expected);
        pair = pair.turned();
      }
    }
  }

  private static void prove(VllmEngines engines, VllmRouter.Pair pair, Expected expected)
      throws Exception {
    JsonObject checked = pair.checked(folder, "transfer: engine");
    assertKnown(checked, expected);
    JsonObject verdict = checked.getJsonArray("pairs").getJsonObject(0);
    boolean accepted = verdict.getBoolean("usable");
    int saidBefore = engines.log(pair.decode()).length();
    Seen directly = directly(engines, pair);
    String said = engines.log(pair.decode()).substring(saidBefore);
    String foretold = verdict.getString("connector", "");
    String served = servedByEngineTransfer(pair, accepted, expected);
    String row =
        "| %s | %s | %s | %s | %s | "
            .formatted(
                expected.name(),
                accepted ? "fits" : "refuses: " + rules(verdict),
                directly,
                foretold.isEmpty() ? "" : HASH.matcher(foretold).replaceAll("$1…"),
                served);
    ROWS.add(
        row + (expected.way().equals("none") ? "refuses | | | |" : auto(engines, pair, expected)));

    assertThat(directly.reality()).as("%s", directly).isEqualTo(expected.reality());
    assertThat(accepted).as(verdict.encode()).isEqualTo(expected.reality() == Reality.RIGHT);
    assertThat(foretold.isEmpty()).as(foretold).isEqualTo(expected.reality() != Reality.REFUSES);
    assertThat(said).contains(foretold);
  }

  /** What both engines have said of themselves, and that it gives the hash that they send. */
  private static void assertKnown(JsonObject checked, Expected expected) {
    for (Object each : checked.getJsonArray("workers")) {
      JsonObject worker = (JsonObject) each;
      GeometrySpec spec =
          worker.getString("pool").equals("p") ? expected.source() : expected.target();
      Map<String, JsonObject> facts = new TreeMap<>();
      for (Object fact : worker.getJsonArray("facts")) {
        facts.put(((JsonObject) fact).getString("fact"), (JsonObject) fact);
      }
      assertThat(worker.getString("trouble")).isNull();
      assertThat(value(facts, "kernel-block-size")).isEqualTo("" + spec.blockSize());
      assertThat(value(facts, "tensor-parallel")).isEqualTo("" + spec.parallelism().tensor());
      assertThat(value(facts, "attention-backend")).isEqualTo("CPU_ATTN");
      assertThat(value(facts, "connector-version")).isEqualTo("14");
      long bytes = spec.geometry().rank(0, 0).regions().getFirst().getFirst().blockStrideBytes();
      assertThat(value(facts, "block-lens")).startsWith("[" + bytes + ", ");
      if (!expected.way().equals("none")) {
        assertThat(worker.getJsonArray("disagreements")).isEmpty();
        assertThat(said(facts, "compatibility-hash").getString("where"))
            .endsWith("recomputed from its factors");
      }
    }
  }

  private static String value(Map<String, JsonObject> facts, String name) {
    return said(facts, name).getString("value");
  }

  private static JsonObject said(Map<String, JsonObject> facts, String name) {
    return Objects.requireNonNull(facts.get(name), name);
  }

  private static String rules(JsonObject verdict) {
    TreeSet<String> rules = new TreeSet<>();
    for (Object why : verdict.getJsonArray("why")) {
      rules.add(((JsonObject) why).getString("rule"));
    }
    return String.join(", ", rules);
  }

  /** Outcomes of prompts, by what was seen. */
  private record Seen(TreeMap<String, Integer> outcomes) {
    Reality reality() {
      if (outcomes.keySet().equals(new TreeSet<>(List.of("right")))) {
        return Reality.RIGHT;
      }
      return outcomes.containsKey("wrong") ? Reality.WRONG : Reality.REFUSES;
    }

    @Override
    public String toString() {
      List<String> words = new ArrayList<>();
      outcomes.forEach((what, count) -> words.add(count + " " + what));
      return String.join(", ", words);
    }
  }

  private static JsonObject fresh(int tokens) {
    return VllmAnswer.completion(VllmAnswer.prompt(RANDOM, tokens), MAX_TOKENS);
  }

  private static VllmAnswer own(Address prefill, JsonObject body) throws Exception {
    VllmAnswer own = VllmAnswer.ask(prefill.url(), COMPLETIONS, body);
    assertThat(own.status()).as(own.text()).isEqualTo(200);
    return own;
  }

  private static Seen directly(VllmEngines engines, VllmRouter.Pair pair) throws Exception {
    TreeMap<String, Integer> outcomes = new TreeMap<>();
    for (int length : DIRECT_LENGTHS) {
      JsonObject body = fresh(length);
      VllmAnswer own = own(pair.prefill(), body);
      VllmAnswer answer = engines.directly(pair.prefill(), pair.decode(), body);
      String outcome =
          answer.status() != 200
              ? "answered " + answer.status()
              : answer.says(own) ? "right" : "wrong";
      outcomes.merge(outcome, 1, Integer::sum);
    }
    return new Seen(outcomes);
  }

  /**
   * A pair that is refused is refused before a request reaches an engine, unless its operator
   * vouches for it.
   */
  private static String servedByEngineTransfer(
      VllmRouter.Pair pair, boolean accepted, Expected expected) throws Exception {
    if (accepted) {
      return "served";
    }
    String refused;
    try (VllmRouter router = VllmRouter.serve(folder, pair, "transfer: engine")) {
      JsonObject edge = router.edge();
      assertThat(edge.getString("state")).as(edge.encode()).isEqualTo("refused");
      VllmAnswer answer = router.ask(COMPLETIONS, fresh(40), "refused");
      assertThat(answer.status()).as(answer.text()).isEqualTo(503);
      refused = "503";
    }
    if (expected.reality() != Reality.WRONG) {
      return refused;
    }
    try (VllmRouter router = VllmRouter.serve(folder, pair.praised(), "transfer: engine")) {
      JsonObject edge = router.edge();
      assertThat(edge.getString("state")).as(edge.encode()).isEqualTo("broken");
      assertThat(edge.encode()).contains("the canary: ");
      VllmAnswer answer = router.ask(COMPLETIONS, fresh(40), "canary");
      assertThat(answer.status()).as(answer.text()).isEqualTo(503);
      refused += "; declared to fit, the canary is answered wrong: 503";
    }
    try (VllmRouter router = VllmRouter.serve(folder, pair, "transfer: engine, verify: trust")) {
      // Nobody is asked about a pair that an operator vouches for: what it answers is its own.
      JsonObject body = fresh(65);
      VllmAnswer own = own(pair.prefill(), body);
      VllmAnswer answer = router.ask(COMPLETIONS, body, "trusted");
      assertThat(answer.status()).as(answer.text()).isEqualTo(200);
      assertThat(answer.says(own)).as("%s", answer).isFalse();
      return refused + "; with `verify: trust` 200 and a wrong answer";
    }
  }

  /** Requests through a router, whose answers and bytes are known beforehand. */
  private static final class Tally {
    private final VllmEngines engines;
    private final VllmRouter.Pair pair;
    private final VllmRouter router;
    private final List<String> wrong = new ArrayList<>();
    private int asked;
    private int equal;
    private long predicted;
    private long read;

    Tally(VllmEngines engines, VllmRouter.Pair pair, VllmRouter router) {
      this.engines = engines;
      this.pair = pair;
      this.router = router;
    }

    void add(JsonObject body, VllmAnswer own, String what, long bytes) throws Exception {
      long before = engines.bytesRead(pair.decode(), 0);
      VllmAnswer answer = router.ask(COMPLETIONS, body, "auto");
      long moved = engines.bytesRead(pair.decode(), before + bytes) - before;
      asked++;
      predicted += bytes;
      read += moved;
      if (answer.says(own)) {
        equal++;
      } else {
        wrong.add("%s: %s instead of %s".formatted(what, answer, own));
      }
      if (moved != bytes) {
        wrong.add("%s: %d bytes instead of %d".formatted(what, moved, bytes));
      }
    }
  }

  private static String auto(VllmEngines engines, VllmRouter.Pair pair, Expected expected)
      throws Exception {
    try (VllmRouter router = VllmRouter.withAgent(folder, pair, "transfer: auto")) {
      JsonObject edge = router.untilUsable();
      assertThat(edge.getString("way")).as(edge.encode()).isEqualTo(expected.way());
      Tally tally = new Tally(engines, pair, router);
      for (int length : LENGTHS) {
        JsonObject body = fresh(length);
        VllmAnswer own = own(pair.prefill(), body);
        tally.add(body, own, length + " tokens, once", expected.planned(length));
        tally.add(body, own, length + " tokens, again", expected.plannedAgain(length));
      }
      engines.untilFree(pair.prefill(), java.time.Duration.ofSeconds(40));
      JsonArray agents = router.page("/pd/agents").getJsonArray("agents");
      assertThat(agents).hasSize(1);
      assertThat(tally.wrong).isEmpty();
      return "%s | %d of %d | %d | %d |"
          .formatted(expected.way(), tally.equal, tally.asked, tally.predicted, tally.read);
    }
  }
}
