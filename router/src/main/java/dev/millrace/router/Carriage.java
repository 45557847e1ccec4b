package dev.millrace.router;

import dev.millrace.layout.compatibility.Way;
import dev.millrace.router.agents.Agents;
import dev.millrace.router.agents.Carried;
import dev.millrace.router.agents.Carrier;
import dev.millrace.router.agents.DecodeEngine;
import dev.millrace.router.agents.NotCarried;
import dev.millrace.router.handoff.Pinned;
import dev.millrace.router.probe.Sighting;
import io.vertx.core.Future;
import java.time.Duration;
import java.util.Optional;
import java.util.function.Function;

/**
 * How a hand-off's blocks get to the decode engine, by the way of its edge.
 *
 * @param pinned what the prefill worker said of them
 * @param reader what is known of the decode worker
 */
record Carriage(Agents agents, Pinned pinned, Optional<Sighting> reader, Duration deadline) {

  /** An agent carries some gigabytes in that time; one that hangs is not waited for any longer. */
  private static final Duration LONGEST = Duration.ofSeconds(15);

  /** How long one may take where others have a deadline too. */
  static Duration within(Duration others) {
    return others.compareTo(LONGEST) < 0 ? others : LONGEST;
  }

  /** One that is under way, or over. */
  record UnderWay(Future<Carried> outcome, Runnable cancel) {}

  /**
   * Begins. Its outcome fails with {@link NotCarried}.
   *
   * @param copy that an agent has from an earlier attempt, for ways that make one
   */
  UnderWay by(Way way, Optional<Carried.Copy> copy) {
    return switch (way) {
      case ENGINE ->
          new UnderWay(
              Future.succeededFuture(
                  new Carried(pinned.object(), "engine", Optional.empty(), 0, Duration.ZERO)),
              () -> {});
      case BRIDGE -> between(Carrier::bridge);
      case RELAY -> between(carrier -> carrier.relay(copy));
    };
  }

  private UnderWay between(Function<Carrier, Future<Carried>> how) {
    Optional<DecodeEngine> engine = reader.flatMap(Sighting::told).map(Carriage::named);
    if (engine.isEmpty()) {
      return over("the decode engine has not said yet who it is");
    }
    return agents
        .between(pinned, engine.get(), deadline)
        .map(carrier -> new UnderWay(how.apply(carrier), carrier::cancel))
        .orElseGet(() ->
            over(
                "no agent that answers lists both side channels, %s and %s:%d"
                    .formatted(pinned.sideChannel(), engine.get().host(), engine.get().port())));
  }

  private static UnderWay over(String why) {
    return new UnderWay(Future.failedFuture(NotCarried.byNobody(why)), () -> {});
  }

  private static DecodeEngine named(Sighting.Told told) {
    return new DecodeEngine(told.engineId(), told.host(), told.port(), told.tensorParallel());
  }
}
