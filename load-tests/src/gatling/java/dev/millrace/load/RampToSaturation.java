package dev.millrace.load;

import static io.gatling.javaapi.core.CoreDsl.global;
import static io.gatling.javaapi.core.CoreDsl.incrementUsersPerSec;
import static io.gatling.javaapi.core.CoreDsl.scenario;

import io.gatling.javaapi.core.Simulation;

/**
 * A rate that grows in steps to five times what {@code millrace.rate} says. The report shows where
 * times begin to grow; answers fail at no step.
 */
public final class RampToSaturation extends Simulation {
  private static final int PROMPT_BYTES = 2 << 10;
  private static final int STEPS = 5;

  /** Creates the simulation, as Gatling wants it: in the constructor. */
  public RampToSaturation() {
    setUp(
            scenario("ramp")
                .exec(Chats.unary("chat", PROMPT_BYTES))
                .injectOpen(
                    incrementUsersPerSec(Chats.RATE)
                        .times(STEPS)
                        .eachLevelLasting(Chats.LENGTH.dividedBy(STEPS))
                        .startingFrom(Chats.RATE)))
        .protocols(Chats.router())
        .assertions(global().failedRequests().count().is(0L));
  }
}
