package dev.millrace.router.pools;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Admin;
import dev.millrace.config.Declared;
import dev.millrace.config.EngineKind;
import dev.millrace.config.HostPort;
import dev.millrace.config.Listen;
import dev.millrace.config.Pool;
import dev.millrace.config.Role;
import dev.millrace.config.Route;
import dev.millrace.config.RoutingTable;
import dev.millrace.config.Stage;
import dev.millrace.config.WorkerAddress;
import dev.millrace.router.http.Api;
import dev.millrace.router.http.MetricsText;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** The ranks behind one address. */
class DataParallelTest {
  private static final URI SHARED = URI.create("http://127.0.0.1:8000");

  private final List<Worker> ranks =
      workers(
          new WorkerAddress(
              SHARED,
              Optional.of(new HostPort("127.0.0.1", 5600)),
              2,
              Declared.nothing(),
              Map.of()));

  private static List<Worker> workers(WorkerAddress prefill) {
    Pool p = Pool.of("p", Role.PREFILL, "m", EngineKind.VLLM, List.of(prefill));
    Pool d =
        Pool.of(
            "d",
            Role.DECODE,
            "m",
            EngineKind.VLLM,
            List.of(WorkerAddress.of(URI.create("http://127.0.0.1:8001"))));
    Route route = Route.of("m", Stage.roundRobin("p"), Stage.leastActive("d"));
    return new Workers(
            RoutingTable.of(
                Listen.defaults(), Admin.defaults(), List.of(p, d), List.of(), List.of(route)))
        .ofPool("p");
  }

  @Test
  void eachRank_isAWorker_withItsOwnNameAndSideChannel() {
    assertThat(ranks)
        .extracting(Worker::url)
        .containsExactly("http://127.0.0.1:8000#dp0", "http://127.0.0.1:8000#dp1");
    assertThat(ranks)
        .extracting(worker -> worker.sideChannel().orElseThrow().port())
        .containsExactly(5600, 5601);
    assertThat(ranks.get(1).ownsSideChannel("127.0.0.1", 5601)).isTrue();
    assertThat(ranks.get(1).ownsSideChannel("127.0.0.1", 5600)).isFalse();
  }

  @Test
  void requestsToARank_nameIt() {
    assertThat(ranks)
        .extracting(
            worker -> worker.options(Api.COMPLETIONS).getHeaders().get("X-data-parallel-rank"))
        .containsExactly("0", "1");
  }

  @Test
  void requestsToAnEngineAlone_nameNoRank() {
    assertThat(workers(WorkerAddress.of(SHARED)).getFirst().options(Api.COMPLETIONS).getHeaders())
        .isNull();
  }

  @Test
  void theSharedAddress_namesAllRanks() {
    assertThat(ranks).allMatch(worker -> worker.isNamed(SHARED.toString()));
    assertThat(ranks.get(0).isNamed(SHARED + "#dp1")).isFalse();
    assertThat(ranks.get(1).isNamed(SHARED + "#dp1")).isTrue();
  }

  @Test
  void metricsOfARank_leaveThoseOfOthersOut() {
    byte[] page =
        "m{engine=\"0\"} 1.0\nm{engine=\"1\"} 20.0\nstart 5.0\n".getBytes(StandardCharsets.UTF_8);
    MetricsText own = ranks.get(1).ownIn(new MetricsText(page, page.length));
    assertThat(own.sum("m")).contains(20.0);
    assertThat(own.sum("start")).contains(5.0);
  }
}
