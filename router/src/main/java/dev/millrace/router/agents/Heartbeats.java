package dev.millrace.router.agents;

import dev.millrace.router.handoff.HandOff;
import dev.millrace.router.handoff.Ledger;
import io.vertx.core.Vertx;
import java.time.Duration;
import java.util.function.LongSupplier;

/**
 * Keeps blocks pinned while their exchange has not got a decode worker to answer.
 *
 * <p>A decode engine beats for itself, but only once the request has passed its front door and its
 * first handshake. What happens before, here and there, is covered by an agent's heartbeats, as
 * often as a decode engine's would come. Without an agent that reaches the engine there are none,
 * and a hand-off that gets too old is not used.
 */
public final class Heartbeats {
  private static final Duration LOOK = Duration.ofSeconds(1);

  private final Ledger ledger;
  private final Agents agents;
  private final LongSupplier nanoClock;

  private Heartbeats(Ledger ledger, Agents agents, LongSupplier nanoClock) {
    this.ledger = ledger;
    this.agents = agents;
    this.nanoClock = nanoClock;
  }

  /** Begins to beat, on the event loop from which it is called. */
  public static void begin(Vertx vertx, Ledger ledger, Agents agents, LongSupplier nanoClock) {
    if (!agents.all().isEmpty()) {
      Heartbeats heartbeats = new Heartbeats(ledger, agents, nanoClock);
      vertx.setPeriodic(LOOK.toMillis(), timer -> heartbeats.beat());
    }
  }

  private void beat() {
    long now = nanoClock.getAsLong();
    for (HandOff entry : ledger.entries()) {
      if (entry.wantsBeat(now)) {
        agents
            .reaching(entry.pinned().host(), entry.pinned().port())
            .ifPresent(agent -> {
              entry.beatAt(now);
              agents.extend(agent, entry.pinned()).onSuccess(kept -> entry.extendedAt(now));
            });
      }
    }
  }
}
