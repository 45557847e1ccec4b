package dev.millrace.router.discover;

import dev.millrace.config.Pool;
import dev.millrace.config.RoutingTable;
import dev.millrace.config.WorkerAddress;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import java.net.URI;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The workers of all pools, from wherever they come. A table that was read says who is asked; what
 * they say is added to it, and what operators say counts last. Belongs to the operators' event
 * loop.
 */
public final class Members {
  private static final Logger LOG = LoggerFactory.getLogger(Members.class);

  private final Names names;
  private final Overlay overlay = new Overlay();

  /**
   * Members of a table's pools.
   *
   * @param changed hears when {@link #with} would make another table than before
   */
  public Members(Vertx vertx, Runnable changed) {
    this.names = new Names(vertx, changed);
  }

  /** Asks all whom a table wants to be asked; completes when they have answered, or will not. */
  public Future<Void> ask(RoutingTable read) {
    return names.ask(read);
  }

  /** Asks those whom a table wants to be asked from time to time, and nobody else any more. */
  public void follow(RoutingTable read) {
    names.follow(read);
  }

  /** Asks nobody any more. */
  public void end() {
    names.end();
  }

  /**
   * A table that was read, with all workers that its pools have. Whom somebody has named is not
   * added once more, nor is one whose side channel is another's.
   */
  public RoutingTable with(RoutingTable read) {
    overlay.settle(
        read.pools().keySet(),
        read.pools().values().stream()
            .flatMap(pool ->
                Stream.concat(pool.workers().stream(), found(pool).stream())
                    .map(worker -> key(pool.name(), worker.url())))
            .collect(Collectors.toSet()));
    Set<String> taken = new HashSet<>();
    Map<String, Pool> pools = new LinkedHashMap<>();
    // Whom files name is there first, of whichever pool; then come the others, pool by pool.
    read.pools()
        .forEach((name, pool) -> {
          List<WorkerAddress> named = here(pool, pool.workers()).toList();
          named.forEach(worker -> taken.addAll(addresses(pool, worker)));
          pools.put(name, pool.withWorkers(named));
        });
    pools.replaceAll((name, pool) -> {
      List<WorkerAddress> all = new ArrayList<>(pool.workers());
      all.addAll(taking(pool, found(pool), taken));
      all.addAll(taking(pool, overlay.addedTo(name), taken));
      return pool.withWorkers(all);
    });
    return read.withPools(pools);
  }

  private List<WorkerAddress> found(Pool pool) {
    return pool.workersDns().map(names::found).orElse(List.of());
  }

  private List<WorkerAddress> taking(Pool pool, List<WorkerAddress> some, Set<String> taken) {
    return here(pool, some).filter(worker -> isNew(pool, worker, taken)).toList();
  }

  /** Without those that were removed. */
  private Stream<WorkerAddress> here(Pool pool, List<WorkerAddress> some) {
    return some.stream().filter(worker -> !overlay.isRemoved(key(pool.name(), worker.url())));
  }

  private static boolean isNew(Pool pool, WorkerAddress worker, Set<String> taken) {
    List<String> addresses = addresses(pool, worker);
    if (addresses.stream().anyMatch(taken::contains)) {
      LOG.warn(
          "pool {} does not get {} by {}: another worker of model {} has its address or side channel",
          pool.name(),
          worker.url(),
          worker.source().keyword(),
          pool.model());
      return false;
    }
    taken.addAll(addresses);
    return true;
  }

  /** What no other worker of its model may have, as in a table. */
  private static List<String> addresses(Pool pool, WorkerAddress worker) {
    return Stream.concat(
            Stream.of(worker.url().toString()),
            IntStream.range(0, worker.dataParallel())
                .mapToObj(worker::sideChannel)
                .flatMap(channel -> channel.stream().map(Object::toString)))
        .map(address -> pool.model() + " " + address)
        .toList();
  }

  // ---- what operators say ----

  /** Adds a worker to a pool. */
  public void add(String pool, WorkerAddress worker) {
    overlay.add(key(pool, worker.url()), worker);
  }

  /** Takes back that a worker was removed which others name still; false if it was not. */
  public boolean takeBack(String pool, URI url) {
    return overlay.takeBack(key(pool, url));
  }

  /** Removes a worker, whoever has named it. */
  public void remove(String pool, URI url) {
    overlay.remove(key(pool, url));
  }

  /** Notes that a worker is to be removed once it has nothing left. */
  public void leaves(String pool, URI url) {
    overlay.leaves(key(pool, url));
  }

  /** Notes that it is not; false if it was not going to be. */
  public boolean stays(String pool, URI url) {
    return overlay.stays(key(pool, url));
  }

  /** Whether a worker is to be removed once it has nothing left. */
  public boolean isLeaving(String pool, URI url) {
    return overlay.isLeaving(key(pool, url));
  }

  /** The workers that were removed though others name them, by pool and URL. */
  public List<Map.Entry<String, URI>> removed() {
    return overlay.removed().stream().map(key -> Map.entry(key.pool(), key.url())).toList();
  }

  /** Who of a table has the address, or the side channel, of a worker that would be a pool's. */
  public static Optional<String> owner(RoutingTable table, Pool pool, WorkerAddress worker) {
    Set<String> wanted = Set.copyOf(addresses(pool, worker));
    return table.pools().values().stream()
        .flatMap(each ->
            each.workers().stream()
                .filter(known -> addresses(each, known).stream().anyMatch(wanted::contains))
                .map(known ->
                    "%s of pool \"%s\" (source %s)"
                        .formatted(known.url(), each.name(), known.source().keyword())))
        .findFirst();
  }

  private static Overlay.Key key(String pool, URI url) {
    return new Overlay.Key(pool, url);
  }

  /** How many workers there are and what became of questions, in Prometheus' text format. */
  public String text(RoutingTable inForce) {
    return MembersText.of(inForce, names.all());
  }
}
