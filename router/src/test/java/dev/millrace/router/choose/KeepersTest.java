package dev.millrace.router.choose;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Role;
import dev.millrace.router.choose.Keepers.Keeper;
import dev.millrace.router.pools.Worker;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

/** How long it is known who keeps a response, and whose it is. */
final class KeepersTest {
  private final AtomicLong nanos = new AtomicLong();
  private final Keepers keepers = new Keepers(nanos::get);
  private final List<Worker> workers = Samples.workers(Role.DECODE, 2);

  private Keeper keeper(int worker, String caller) {
    return new Keeper(workers.get(worker), "route", "m", caller);
  }

  @Test
  void response_isKnownForAnHourAfterItWasAskedForLast() {
    keepers.keeps("a", keeper(0, ""));
    keepers.keeps("b", keeper(1, ""));
    for (int i = 0; i < 3; i++) {
      nanos.addAndGet(Keepers.REMEMBERED.toNanos() - 1);
      assertThat(keepers.of("a")).contains(keeper(0, ""));
    }

    assertThat(keepers.of("b")).isEmpty();
    nanos.addAndGet(Keepers.REMEMBERED.toNanos());
    assertThat(keepers.of("a")).isEmpty();
  }

  @Test
  void idOfSomebodyElse_cannotBeTakenOver() {
    keepers.keeps("a", keeper(0, "one"));

    keepers.keeps("a", keeper(1, "two"));
    assertThat(keepers.of("a")).contains(keeper(0, "one"));
    keepers.keeps("a", keeper(1, "one"));
    assertThat(keepers.of("a")).contains(keeper(1, "one"));
  }

  @Test
  void moreThanThereIsRoomFor_areForgotten() {
    int more = Keepers.MOST_RESPONSES + 1000;
    for (int i = 0; i < more; i++) {
      keepers.keeps("r" + i, keeper(0, ""));
    }

    int known = 0;
    for (int i = 0; i < more; i++) {
      known += keepers.of("r" + i).isPresent() ? 1 : 0;
    }
    assertThat(known).isPositive().isLessThanOrEqualTo(Keepers.MOST_RESPONSES);
  }
}
