package dev.millrace.router.pools;

import dev.millrace.config.Pool;
import dev.millrace.config.Role;
import dev.millrace.config.Route;
import dev.millrace.config.RoutingTable;
import dev.millrace.config.WorkerAddress;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** All workers of a routing table, by pool. */
public final class Workers {
  private final Map<String, List<Worker>> byPool = new LinkedHashMap<>();

  /** The workers that a table names, with nothing open on them. */
  public Workers(RoutingTable table) {
    table.pools().values().forEach(pool -> byPool.put(pool.name(), of(pool)));
  }

  /** The workers that a table names; those that another one had are the same. */
  public Workers(RoutingTable table, Workers before) {
    List<Worker> known = before.all().toList();
    table
        .pools()
        .values()
        .forEach(pool ->
            byPool.put(pool.name(), of(pool).stream().map(worker -> same(worker, known)).toList()));
  }

  private static Worker same(Worker worker, List<Worker> known) {
    return known.stream().filter(worker::isSameAs).findFirst().orElse(worker);
  }

  private static List<Worker> of(Pool pool) {
    return pool.workers().stream().flatMap(address -> ranks(pool, address)).toList();
  }

  private static Stream<Worker> ranks(Pool pool, WorkerAddress address) {
    return IntStream.range(0, address.dataParallel())
        .mapToObj(rank -> new Worker(pool, address, rank));
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
