package dev.millrace.router.pools;

import dev.millrace.config.Pool;
import dev.millrace.config.Role;
import dev.millrace.config.Route;
import dev.millrace.config.RoutingTable;
import dev.millrace.config.WorkerAddress;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** All workers of a routing table, by pool. */
public final class Workers {
  private final Map<String, Pool> pools;
  private final Map<String, List<Worker>> byPool = new LinkedHashMap<>();
  private final Map<String, Breakers> breakers = new HashMap<>();
  private final Random random;

  /** The workers that a table names, with nothing open on them. */
  public Workers(RoutingTable table) {
    this.pools = table.pools();
    this.random = new Random();
    pools.values().forEach(pool -> byPool.put(pool.name(), of(pool)));
    takeOver();
  }

  /** The workers that a table names; those that another one had are the same. */
  public Workers(RoutingTable table, Workers before) {
    this.pools = table.pools();
    this.random = before.random;
    breakers.putAll(before.breakers);
    List<Worker> known = before.all().toList();
    pools
        .values()
        .forEach(pool ->
            byPool.put(pool.name(), of(pool).stream().map(worker -> same(worker, known)).toList()));
  }

  /** From now on it is these of which some are out of use, by the rules of their table. */
  public void takeOver() {
    byPool.forEach((name, workers) -> {
      Pool pool = Objects.requireNonNull(pools.get(name));
      breakers(name).become(pool.health(), workers);
      workers.forEach(worker -> worker.kvRoom().become(pool.kvPercent()));
    });
  }

  /** What takes workers of a pool out of use. */
  public Breakers breakers(String pool) {
    return Objects.requireNonNull(breakers.get(pool), "no such pool");
  }

  private static Worker same(Worker worker, List<Worker> known) {
    return known.stream().filter(worker::isSameAs).findFirst().orElse(worker);
  }

  private List<Worker> of(Pool pool) {
    Breakers shared =
        breakers.computeIfAbsent(pool.name(), name -> new Breakers(pool.health(), random));
    return pool.workers().stream().flatMap(address -> ranks(pool, address, shared)).toList();
  }

  private static Stream<Worker> ranks(Pool pool, WorkerAddress address, Breakers shared) {
    return IntStream.range(0, address.dataParallel())
        .mapToObj(rank -> new Worker(pool, address, rank, shared));
  }

  /** The workers of a pool, in the table's order. */
  public List<Worker> ofPool(String pool) {
    return byPool.getOrDefault(pool, List.of());
  }

  /** Those that compute prompts for a route's decode workers; none where these do it themselves. */
  public List<Worker> prefilling(Route route) {
    return route.prefill().map(stage -> ofPool(stage.pool())).orElse(List.of());
  }

  /** Every worker, in the table's order. */
  public Stream<Worker> all() {
    return byPool.values().stream().flatMap(List::stream);
  }

  /** Those that decode. */
  public Stream<Worker> decoding() {
    return all().filter(worker -> worker.role() != Role.PREFILL);
  }
}
