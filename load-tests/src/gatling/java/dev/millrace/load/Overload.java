package dev.millrace.load;

import static io.gatling.javaapi.core.CoreDsl.constantUsersPerSec;
import static io.gatling.javaapi.core.CoreDsl.global;
import static io.gatling.javaapi.core.CoreDsl.nothingFor;
import static io.gatling.javaapi.core.CoreDsl.scenario;
import static io.gatling.javaapi.core.CoreDsl.stressPeakUsers;

import io.gatling.javaapi.core.Simulation;
import java.time.Duration;

/**
 * A burst of ten times the rate, all within two seconds, and then the rate again: everybody gets an
 * answer or a refusal that says when to come again, and afterwards everybody an answer.
 */
public final class Overload extends Simulation {
  private static final int PROMPT_BYTES = 2 << 10;
  private static final int TIMES = 10;
  private static final Duration BURST = Duration.ofSeconds(2);

  /** Creates the simulation, as Gatling wants it: in the constructor. */
  public Overload() {
    setUp(
            scenario("burst")
                .exec(Chats.unaryOrRefused("chat in the burst", PROMPT_BYTES))
                .injectOpen(
                    stressPeakUsers(TIMES * Chats.RATE * (int) BURST.toSeconds()).during(BURST)),
            scenario("afterwards")
                .exec(Chats.unary("chat afterwards", PROMPT_BYTES))
                .injectOpen(
                    nothingFor(BURST.multipliedBy(3)),
                    constantUsersPerSec(Chats.RATE).during(Chats.LENGTH)))
        .protocols(Chats.router())
        .assertions(global().failedRequests().count().is(0L));
  }
}
