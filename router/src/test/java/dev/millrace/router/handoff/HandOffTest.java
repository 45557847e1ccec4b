package dev.millrace.router.handoff;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Admin;
import dev.millrace.config.EngineKind;
import dev.millrace.config.Listen;
import dev.millrace.config.Pool;
import dev.millrace.config.Role;
import dev.millrace.config.Route;
import dev.millrace.config.RoutingTable;
import dev.millrace.config.Stage;
import dev.millrace.config.WorkerAddress;
import dev.millrace.router.agents.Carried;
import dev.millrace.router.pools.Worker;
import dev.millrace.router.pools.Workers;
import io.vertx.core.buffer.Buffer;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** For how long blocks may be pointed at. */
class HandOffTest {
  private static final Pinned PINNED =
      new Pinned(Buffer.buffer("{}"), "e", "r", "127.0.0.1", 5600, 1, 1, 20, 2, null);

  private final Worker holder = worker();
  private final HandOff handOff = new Ledger().enter(holder, PINNED, 0);

  private static Worker worker() {
    Pool p = pool("p", Role.PREFILL);
    Pool d = pool("d", Role.DECODE);
    Route route = Route.of("m", Stage.roundRobin("p"), Stage.leastActive("d"));
    return new Workers(
            RoutingTable.of(
                Listen.defaults(), Admin.defaults(), List.of(p, d), List.of(), List.of(route)))
        .ofPool("p")
        .getFirst();
  }

  private static Pool pool(String name, Role role) {
    WorkerAddress address = WorkerAddress.of(URI.create("http://127.0.0.1:80" + name.length()));
    return Pool.of(name, role, "m", EngineKind.VLLM, List.of(address));
  }

  private long afterShareOfLease(double share) {
    return (long) (holder.lease().initial().toNanos() * share);
  }

  @Test
  void blocks_afterSevenTenthsOfTheirLease_areNotUsed() {
    assertThat(handOff.isUsable(afterShareOfLease(0.69))).isTrue();
    assertThat(handOff.isUsable(afterShareOfLease(0.71))).isFalse();
  }

  @Test
  void blocks_whoseLeaseWasExtended_areUsedForAsLongAsTheExtensionBears() {
    handOff.extendedAt(afterShareOfLease(0.6));

    assertThat(handOff.isUsable(afterShareOfLease(0.71))).isTrue();
  }

  @Test
  void bridge_thatTookMostOfTheLease_isOfNoUse() {
    Carried bridged =
        new Carried(Buffer.buffer("{}"), "bridged", Optional.empty(), 0, Duration.ZERO);

    assertThat(bridged.isReadable(handOff, afterShareOfLease(0.69))).isTrue();
    assertThat(bridged.isReadable(handOff, afterShareOfLease(0.71))).isFalse();
  }
}
