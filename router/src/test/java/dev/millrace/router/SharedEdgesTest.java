package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.CanaryRule;
import dev.millrace.config.EngineKind;
import dev.millrace.config.Match;
import dev.millrace.config.Pairing;
import dev.millrace.config.Pool;
import dev.millrace.config.Role;
import dev.millrace.config.Route;
import dev.millrace.config.Stage;
import dev.millrace.config.WorkerAddress;
import dev.millrace.router.edges.Edge;
import java.net.URI;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Routes before the same pools. */
final class SharedEdgesTest {
  private static final Pool PREFILL = pool("p", Role.PREFILL);
  private static final Pool DECODE = pool("d", Role.DECODE);
  private static final Route ROUTE = Route.of("m", Stage.roundRobin("p"), Stage.leastActive("d"));
  private static final Route ALIAS =
      ROUTE.withName("alias").withMatch(Match.model("gpt")).withServedModelName("m");

  private final Floors floors = new Floors();

  @AfterEach
  void close() {
    floors.close();
  }

  private static Pool pool(String name, Role role) {
    WorkerAddress worker = WorkerAddress.of(URI.create("http://" + name));
    return Pool.of(name, role, "m", EngineKind.VLLM, List.of(worker));
  }

  private List<Edge> edges(Route... routes) {
    Floor floor = floors.of(List.of(PREFILL, DECODE), List.of(routes));
    assertThat(floor.watch().routes()).hasSize(routes.length);
    return floor.routes().all().stream()
        .flatMap(each -> each.branches().getFirst().chooser().edges().edges().stream())
        .toList();
  }

  @Test
  void routesThatPairByTheSameRules_shareWhatIsKnownOfPairs() {
    List<Edge> edges = edges(ROUTE, ALIAS);

    assertThat(edges).hasSize(2);
    assertThat(edges.getFirst()).isSameAs(edges.getLast());
  }

  @Test
  void routesWithRulesOfTheirOwn_judgeTheirOwnPairs() {
    List<Edge> edges =
        edges(ROUTE, ALIAS.withPairing(Pairing.defaults().withCanary(CanaryRule.OFF)));

    assertThat(edges.getFirst()).isNotSameAs(edges.getLast());
  }
}
