package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.EngineKind;
import dev.millrace.config.Pairing;
import dev.millrace.config.Pool;
import dev.millrace.config.Role;
import dev.millrace.config.Route;
import dev.millrace.config.Stage;
import dev.millrace.config.Verify;
import dev.millrace.config.WorkerAddress;
import dev.millrace.router.edges.Edge;
import dev.millrace.router.edges.EdgeState;
import dev.millrace.router.edges.RouteEdges;
import dev.millrace.router.pools.TransferReport;
import java.net.URI;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** An edge over which blocks go much slower than over the fastest of its route is not used. */
final class SlowEdgesTest {
  private static final long MEBIBYTE = 1L << 20;
  private static final int OFTEN = 20;

  private final Floors floors = new Floors();
  private final RouteEdges edges = edges();
  private final Edge first = edges.edges().get(0);
  private final Edge second = edges.edges().get(1);
  private final Edge third = edges.edges().get(2);

  @AfterEach
  void close() {
    floors.close();
  }

  private RouteEdges edges() {
    Pool prefill = pool("p", Role.PREFILL, "http://p");
    Pool decode = pool("d", Role.DECODE, "http://d1", "http://d2", "http://d3");
    Route route =
        Route.of("m", Stage.roundRobin("p"), Stage.leastActive("d"))
            .withPairing(Pairing.defaults().withVerify(Verify.TRUST));
    return floors
        .of(List.of(prefill, decode), List.of(route))
        .routes()
        .all()
        .getFirst()
        .branches()
        .getFirst()
        .chooser()
        .edges();
  }

  private static Pool pool(String name, Role role, String... urls) {
    List<WorkerAddress> workers =
        Stream.of(urls).map(url -> WorkerAddress.of(URI.create(url))).toList();
    return Pool.of(name, role, "m", EngineKind.VLLM, workers);
  }

  /** Blocks go over an edge, so many mebibytes in a second. */
  private void carries(Edge edge, long mebibytes, int times) {
    for (int i = 0; i < times; i++) {
      edges.transferred(
          edge, new TransferReport.Measured(mebibytes * MEBIBYTE, 1, Optional.empty()), 0);
    }
  }

  @Test
  void muchSlowerThanTheFastest_isNotUsed() {
    carries(first, 1000, 1);
    carries(second, 150, OFTEN);
    carries(third, 50, OFTEN);

    assertThat(second.state()).isInstanceOf(EdgeState.Usable.class);
    assertThat(third.state())
        .isInstanceOfSatisfying(
            EdgeState.Broken.class,
            broken -> assertThat(broken.why()).contains("52 MB/s, over another edge at 1049 MB/s"));
  }

  @Test
  void fastestThatHasBecomeSlow_isComparedWithTheNext() {
    carries(first, 1000, 1);
    carries(second, 900, 1);
    carries(first, 150, 30);
    assertThat(first.state()).isInstanceOf(EdgeState.Usable.class);
    carries(first, 60, 3);

    assertThat(first.state()).isInstanceOf(EdgeState.Broken.class);
  }

  @Test
  void fastestThatHasBecomeSlow_isNotWhatOthersAreComparedWith() {
    carries(first, 1000, 1);
    carries(second, 200, 1);
    carries(first, 150, 30);
    carries(third, 50, OFTEN);

    assertThat(third.state()).isInstanceOf(EdgeState.Usable.class);
  }
}
