package dev.millrace.load;

import static io.gatling.javaapi.core.CoreDsl.constantUsersPerSec;
import static io.gatling.javaapi.core.CoreDsl.global;
import static io.gatling.javaapi.core.CoreDsl.scenario;

import io.gatling.javaapi.core.Simulation;

/** A constant rate of short chats: none fails, and hardly one waits. */
public final class Steady extends Simulation {
  private static final int PROMPT_BYTES = 2 << 10;
  private static final int MOST_P99_MILLIS = Integer.parseInt(Chats.setting("p99-ms", "250"));

  /** Creates the simulation, as Gatling wants it: in the constructor. */
  public Steady() {
    setUp(
            scenario("steady")
                .exec(Chats.unary("chat", PROMPT_BYTES))
                .injectOpen(constantUsersPerSec(Chats.RATE).during(Chats.LENGTH)))
        .protocols(Chats.router())
        .assertions(
            global().failedRequests().count().is(0L),
            global().responseTime().percentile(99).lt(MOST_P99_MILLIS));
  }
}
