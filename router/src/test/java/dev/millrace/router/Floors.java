package dev.millrace.router;

import dev.millrace.config.Admin;
import dev.millrace.config.Listen;
import dev.millrace.config.Pool;
import dev.millrace.config.Route;
import dev.millrace.config.RoutingTable;
import dev.millrace.router.access.Keys;
import dev.millrace.router.edges.ProfileJudge;
import dev.millrace.router.edges.Watch;
import dev.millrace.router.probe.EngineCalls;
import dev.millrace.router.probe.Prober;
import dev.millrace.transfer.sidechannel.SideChannelClient;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;

/** Floors whose workers nobody asks anything. */
final class Floors implements AutoCloseable {
  private final Vertx vertx = Vertx.vertx();
  private final SideChannelClient sideChannels = new SideChannelClient();
  private final Prober prober =
      new Prober(
          vertx, new EngineCalls(vertx.createHttpClient()), sideChannels, (worker, blocks) -> {});

  Floor of(List<Pool> pools, List<Route> routes) {
    Watch watch =
        new Watch(
            vertx,
            prober,
            new ProfileJudge(false),
            flight -> Future.succeededFuture(),
            System::nanoTime);
    return Floor.of(
        RoutingTable.of(Listen.defaults(), Admin.defaults(), pools, routes),
        watch,
        Keys.notAsked(),
        new Credentials(Optional.empty(), Map.of()),
        new AtomicInteger(),
        System::nanoTime,
        null);
  }

  @Override
  public void close() {
    sideChannels.close();
    vertx.close();
  }
}
