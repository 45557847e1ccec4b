package dev.millrace.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.layout.Layout;
import java.net.http.HttpResponse;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** Ranks behind one port are engines of their own. */
class DataParallelTest {
  private static final String RANK = "X-data-parallel-rank";

  @RegisterExtension private final EngineInvariants engines = new EngineInvariants();

  private SimulatedEngine engine(EngineRole role, int ranks) {
    return engines.start(c ->
        c.role(role).dataParallel(ranks).geometry(EngineInvariants.geometry(1, 16, Layout.HND)));
  }

  private static HttpResponse<String> ask(SimulatedEngine engine, String rank, String body) {
    return Caller.complete(engine, body, RANK, rank);
  }

  private static String prefill(SimulatedEngine engine, String rank, String prompt) {
    HttpResponse<String> answer =
        ask(engine, rank, Legs.with(Legs.body(prompt, 1), "kv_transfer_params", Legs.ASK_PREFILL));
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    return Json.raw(answer.body(), "kv_transfer_params");
  }

  @Test
  void handOff_fromAnyRankToAnyRank_equalsAggregated() {
    SimulatedEngine prefill = engine(EngineRole.PREFILL, 2);
    SimulatedEngine decode = engine(EngineRole.DECODE, 2);
    SimulatedEngine one = engine(EngineRole.BOTH, 1);
    for (int from = 0; from < 2; from++) {
      for (int to = 0; to < 2; to++) {
        String prompt = Legs.prompt(40 + 20 * from + 7 * to);
        String params = prefill(prefill, String.valueOf(from), prompt);
        assertThat(params).contains(prefill.engineIds().get(from));
        assertThat(prefill.stats(from).heldBlocks()).isPositive();
        assertThat(prefill.stats(1 - from).heldBlocks()).isZero();
        long before = decode.stats(to).bytesTransferred();
        HttpResponse<String> answer =
            ask(
                decode,
                String.valueOf(to),
                Legs.with(Legs.body(prompt, 12), "kv_transfer_params", params));
        assertThat(Legs.text(answer)).isEqualTo(Legs.aggregated(one, prompt, 12));
        assertThat(decode.stats(to).bytesTransferred()).isGreaterThan(before);
      }
    }
    assertThat(decode.stats().prefillTokensComputed()).isZero();
  }

  @Test
  void requestsWithoutARank_goToAllOfThem() {
    SimulatedEngine engine = engine(EngineRole.BOTH, 3);
    for (int i = 0; i < 3; i++) {
      Caller.complete(engine, Legs.body("hello", 1));
      ask(engine, "not a number", Legs.body("hello", 1));
    }
    for (int rank = 0; rank < 3; rank++) {
      assertThat(engine.stats(rank).prefillTokensComputed()).as("rank " + rank).isEqualTo(10);
    }
  }

  @Test
  void aRankOutOfRange_isRefused() {
    SimulatedEngine engine = engine(EngineRole.BOTH, 2);
    HttpResponse<String> answer = ask(engine, "2", Legs.body("hello", 1));
    assertThat(answer.statusCode()).isEqualTo(400);
    assertThat(answer.body()).contains("data_parallel_rank 2 is out of range [0, 2).");
  }

  @Test
  void metrics_countPerRank_underOneType() {
    SimulatedEngine engine = engine(EngineRole.BOTH, 2);
    ask(engine, "1", Legs.body("hello", 1));
    List<String> page = Caller.get(engine, "/metrics").body().lines().toList();
    assertThat(page)
        .contains(
            "vllm:prompt_tokens_total{engine=\"0\",model_name=\"tiny\"} 0.0",
            "vllm:prompt_tokens_total{engine=\"1\",model_name=\"tiny\"} 5.0");
    assertThat(page.stream().filter(line -> line.startsWith("vllm:cache_config_info{"))).hasSize(2);
    List<String> types = page.stream().filter(line -> line.startsWith("# TYPE")).toList();
    assertThat(types).doesNotHaveDuplicates();
  }

  @Test
  void sideChannels_haveThePortsFromTheGivenOneOn() {
    SimulatedEngine first = engine(EngineRole.PREFILL, 1);
    EngineConfig config =
        EngineConfig.builder().dataParallel(3).sideChannelPort(first.sideChannelPort()).build();
    assertThat(config.sideChannelPort(2)).isEqualTo(first.sideChannelPort() + 2);
    assertThatThrownBy(() -> EngineConfig.builder().dataParallel(3).sideChannelPort(65534).build())
        .hasMessageContaining("leaves no ports for 3 data-parallel ranks");
  }

  @Test
  void withoutPrefixCaching_theSamePromptIsComputedAgain() {
    SimulatedEngine engine = engines.start(c -> c.prefixCaching(false));
    String prompt = Legs.prompt(64);
    Legs.aggregated(engine, prompt, 1);
    Legs.aggregated(engine, prompt, 1);
    assertThat(engine.stats().promptTokensByLocalCache()).isZero();
    assertThat(Caller.get(engine, "/metrics").body()).contains("enable_prefix_caching=\"False\"");
  }
}
