package dev.millrace.router.discover;

import dev.millrace.config.Pool;
import dev.millrace.config.RoutingTable;
import dev.millrace.config.WorkerAddress;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The workers of all pools, from wherever they come. A table that was read says who is asked; what
 * they say is added to it. Belongs to the operators' event loop.
 */
public final class Members {
  private static final Logger LOG = LoggerFactory.getLogger(Members.class);

  private final Names names;

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
    Set<String> taken = new HashSet<>();
    read.pools()
        .values()
        .forEach(pool -> pool.workers().forEach(worker -> taken.addAll(addresses(pool, worker))));
    Map<String, Pool> pools = new LinkedHashMap<>();
    read.pools().forEach((name, pool) -> pools.put(name, with(pool, taken)));
    return read.withPools(pools);
  }

  private Pool with(Pool pool, Set<String> taken) {
    List<WorkerAddress> all = new ArrayList<>(pool.workers());
    pool.workersDns().map(names::found).orElse(List.of()).stream()
        .filter(found -> isNew(pool, found, taken))
        .forEach(all::add);
    return pool.withWorkers(all);
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

  /** How many workers there are and what became of questions, in Prometheus' text format. */
  public String text(RoutingTable inForce) {
    return MembersText.of(inForce, names.all());
  }
}
