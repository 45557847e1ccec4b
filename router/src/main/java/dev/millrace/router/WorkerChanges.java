package dev.millrace.router;

import dev.millrace.config.AddedWorkers;
import dev.millrace.config.Complaint;
import dev.millrace.config.LoadedWorker;
import dev.millrace.config.Pool;
import dev.millrace.config.RoutingTable;
import dev.millrace.config.WorkerAddress;
import dev.millrace.router.admin.AdminDoor;
import dev.millrace.router.discover.Members;
import dev.millrace.router.edges.RouteEdges;
import dev.millrace.router.http.Problem;
import dev.millrace.router.pools.Worker;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Workers that operators add and remove by the admin port, until the next start. One that is added
 * is judged as one of a new table is; one that is removed gets nothing new, and leaves once it has
 * nothing left. Belongs to the operators' event loop.
 */
final class WorkerChanges implements AdminDoor.Roster {
  /**
   * How often a worker that leaves is looked at, and when first: whoever has chosen it a moment
   * before it was drained has a place on it by then.
   */
  private static final Duration LOOK = Duration.ofMillis(100);

  private final Vertx vertx;
  private final House house;
  private final Members members;
  private final Reload reload;

  WorkerChanges(Vertx vertx, House house, Members members, Reload reload) {
    this.vertx = vertx;
    this.house = house;
    this.members = members;
    this.reload = reload;
  }

  @Override
  public Future<AdminDoor.Change> add(String text) {
    return switch (AddedWorkers.parse("POST /pd/workers", text)) {
      case LoadedWorker.Invalid(List<Complaint> complaints) ->
          refused(
              400,
              "invalid_worker",
              complaints.stream().map(Complaint::toString).collect(Collectors.joining("; ")));
      case LoadedWorker.Valid(String pool, WorkerAddress worker) -> add(pool, worker);
    };
  }

  private Future<AdminDoor.Change> add(String name, WorkerAddress worker) {
    RoutingTable table = house.table();
    Pool pool = table.pools().get(name);
    if (pool == null) {
      return refused(404, "unknown_pool", noPool(name));
    }
    URI url = worker.url();
    if (members.stays(name, url)) {
      of(name, url).forEach(each -> each.drain(false));
      house.watch().routes().forEach(RouteEdges::workersChanged);
      return Future.succeededFuture(done(200, url));
    }
    Optional<String> owner = Members.owner(table, pool, worker);
    if (owner.isPresent()) {
      return refused(
          409,
          "worker_exists",
          "%s has its address or side channel already; DELETE /pd/workers?url=… takes a worker out"
              .formatted(owner.get()));
    }
    if (!members.takeBack(name, url)) {
      members.add(name, worker);
    }
    return reload.membersChanged().map(reloaded -> pairs(done(200, url)));
  }

  @Override
  public Future<AdminDoor.Change> remove(String url, @Nullable String pool) {
    List<Pool> pools =
        house.table().pools().values().stream()
            .filter(each -> pool == null || each.name().equals(pool))
            .filter(each ->
                each.workers().stream().anyMatch(worker -> worker.url().toString().equals(url)))
            .toList();
    if (pools.isEmpty()) {
      return refused(
          404,
          "unknown_worker",
          "No worker%s is \"%s\"; ?url= takes a URL of GET /pd/workers, without the #dp of a data-parallel rank: they leave together"
              .formatted(pool == null ? "" : " of pool \"" + pool + "\"", url));
    }
    URI address = URI.create(url);
    for (Pool each : pools) {
      of(each.name(), address).forEach(worker -> worker.drain(true));
      if (!members.isLeaving(each.name(), address)) {
        members.leaves(each.name(), address);
        lookLater(each.name(), address);
      }
    }
    house.watch().routes().forEach(RouteEdges::workersChanged);
    return Future.succeededFuture(done(202, address));
  }

  private void lookLater(String pool, URI url) {
    vertx.setTimer(LOOK.toMillis(), timer -> look(pool, url));
  }

  private void look(String pool, URI url) {
    if (!members.isLeaving(pool, url) || house.isClosing()) {
      return;
    }
    List<Worker> left = of(pool, url).toList();
    if (left.stream().anyMatch(worker -> !worker.isDraining())) {
      // An operator has taken it back by POST /pd/resume.
      members.stays(pool, url);
    } else if (left.stream().allMatch(Worker::isDrained)) {
      members.remove(pool, url);
      var _ = reload.membersChanged();
    } else {
      lookLater(pool, url);
    }
  }

  private Stream<Worker> of(String pool, URI url) {
    return house.workers().ofPool(pool).stream().filter(worker -> worker.isNamed(url.toString()));
  }

  private String noPool(String name) {
    return "There is no pool \"%s\"; known: %s"
        .formatted(name, String.join(", ", house.table().pools().keySet()));
  }

  private AdminDoor.Change pairs(AdminDoor.Change change) {
    change.body().put("pairs", new JsonArray(house.watch().pairs()));
    return change;
  }

  private static AdminDoor.Change done(int status, URI url) {
    return new AdminDoor.Change(status, new JsonObject().put("url", url.toString()));
  }

  private static Future<AdminDoor.Change> refused(int status, String slug, String message) {
    return Future.succeededFuture(
        AdminDoor.Change.refused(Problem.ofClient(status, slug, message)));
  }
}
