package dev.millrace.load;

import static io.gatling.javaapi.core.CoreDsl.constantUsersPerSec;
import static io.gatling.javaapi.core.CoreDsl.details;
import static io.gatling.javaapi.core.CoreDsl.global;
import static io.gatling.javaapi.core.CoreDsl.percent;
import static io.gatling.javaapi.core.CoreDsl.randomSwitch;
import static io.gatling.javaapi.core.CoreDsl.scenario;

import io.gatling.javaapi.core.Simulation;

/** Long prompts among short ones, which must not wait for them. */
public final class MixedSizes extends Simulation {
  private static final int KB = 1 << 10;
  private static final int MOST_SHORT_P99_MILLIS = Integer.parseInt(Chats.setting("p99-ms", "500"));

  /** Creates the simulation, as Gatling wants it: in the constructor. */
  public MixedSizes() {
    setUp(
            scenario("mixed")
                .exec(
                    randomSwitch()
                        .on(
                            percent(60).then(Chats.unary("2 KB", 2 * KB)),
                            percent(25).then(Chats.unary("16 KB", 16 * KB)),
                            percent(10).then(Chats.streamed(2 * KB)),
                            percent(5).then(Chats.unary("128 KB", 128 * KB))))
                .injectOpen(constantUsersPerSec(Chats.RATE).during(Chats.LENGTH)))
        .protocols(Chats.router())
        .assertions(
            global().failedRequests().count().is(0L),
            details("2 KB").responseTime().percentile(99).lt(MOST_SHORT_P99_MILLIS));
  }
}
