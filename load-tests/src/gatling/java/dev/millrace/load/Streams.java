package dev.millrace.load;

import static io.gatling.javaapi.core.CoreDsl.constantUsersPerSec;
import static io.gatling.javaapi.core.CoreDsl.details;
import static io.gatling.javaapi.core.CoreDsl.global;
import static io.gatling.javaapi.core.CoreDsl.scenario;

import io.gatling.javaapi.core.Simulation;

/**
 * Streams at a constant rate. <em>first token</em> is what a user waits for; <em>last event</em>
 * begins with it, so that a bound on it, divided by the tokens, is one on the mean time between
 * tokens ({@code millrace.gap-ms}, 40).
 */
public final class Streams extends Simulation {
  private static final int PROMPT_BYTES = 2 << 10;
  private static final int MOST_FIRST_MILLIS = Integer.parseInt(Chats.setting("first-ms", "500"));
  private static final int MOST_GAP_MILLIS = Integer.parseInt(Chats.setting("gap-ms", "40"));

  /** Creates the simulation, as Gatling wants it: in the constructor. */
  public Streams() {
    setUp(
            scenario("streams")
                .exec(Chats.streamed(PROMPT_BYTES))
                .injectOpen(constantUsersPerSec(Chats.RATE).during(Chats.LENGTH)))
        .protocols(Chats.router())
        .assertions(
            global().failedRequests().count().is(0L),
            details("first token").responseTime().percentile(99).lt(MOST_FIRST_MILLIS),
            details("last event").responseTime().percentile(99).lt(MOST_GAP_MILLIS * Chats.TOKENS));
  }
}
