package dev.millrace.config;

import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/**
 * Everything the router is told: where it listens, which workers there are, what goes where.
 *
 * <p>A table that exists holds together: every stage names a pool of its role and of a model that
 * its route asks for, no two routes match the same requests or have the same name, and what a route
 * cannot serve goes to another one of the table, and so on, but not round in a circle.
 *
 * @param listen the public port
 * @param admin the port for operators
 * @param pools by name, in the order of the file
 * @param agents that the router may call, no URL twice
 * @param routes in the order of the file, at least one
 */
public record RoutingTable(
    Listen listen,
    Admin admin,
    Map<String, Pool> pools,
    List<AgentAddress> agents,
    List<Route> routes) {
  public RoutingTable {
    pools = Collections.unmodifiableMap(new LinkedHashMap<>(pools));
    agents = List.copyOf(agents);
    routes = List.copyOf(routes);
    if (routes.isEmpty()) {
      throw new IllegalArgumentException("a routing table needs a route");
    }
    pools.forEach(RoutingTable::requireOwnName);
    if (agents.stream().map(AgentAddress::url).distinct().count() < agents.size()) {
      throw new IllegalArgumentException("an agent is listed twice");
    }
    Map<String, Pool> byName = pools;
    Set<Match> matches = new HashSet<>();
    Set<String> names = new HashSet<>();
    for (Route route : routes) {
      if (!matches.add(route.match())) {
        throw new IllegalArgumentException(
            "two routes match model \"%s\"".formatted(route.model()));
      }
      if (!names.add(route.name())) {
        throw new IllegalArgumentException("two routes are called \"%s\"".formatted(route.name()));
      }
      for (Route part : route.parts().values()) {
        part.prefill().ifPresent(stage -> requireFits(part, stage, Role.PREFILL, byName));
        requireFits(part, part.decode(), Role.DECODE, byName);
        requireOneModel(part, byName);
      }
    }
    requireFallbacksEnd(routes, names);
  }

  private static void requireFallbacksEnd(List<Route> routes, Set<String> names) {
    Fallbacks chains = new Fallbacks();
    routes.forEach(route -> route.fallback().ifPresent(to -> chains.add(route.name(), to)));
    for (Route route : routes) {
      boolean known = route.fallback().map(names::contains).orElse(true);
      if (!known || chains.isInCycle(route.name()) || chains.isTooLong(route.name())) {
        throw new IllegalArgumentException(
            "the fallbacks of route \"%s\" do not lead to an end: %s"
                .formatted(route.name(), chains.chain(route.name())));
      }
    }
  }

  /** A table for pools and routes that are built in code. */
  public static RoutingTable of(Listen listen, Admin admin, List<Pool> pools, List<Route> routes) {
    return of(listen, admin, pools, List.of(), routes);
  }

  /** The same with agents. */
  public static RoutingTable of(
      Listen listen, Admin admin, List<Pool> pools, List<AgentAddress> agents, List<Route> routes) {
    Map<String, Pool> byName = new LinkedHashMap<>();
    for (Pool pool : pools) {
      if (byName.put(pool.name(), pool) != null) {
        throw new IllegalArgumentException("two pools are named \"%s\"".formatted(pool.name()));
      }
    }
    return new RoutingTable(listen, admin, byName, agents, routes);
  }

  /** The same with pools that have other workers. */
  public RoutingTable withPools(Map<String, Pool> newPools) {
    return new RoutingTable(listen, admin, newPools, agents, routes);
  }

  /** The first route that matches a model, whatever else it asks for, if one does. */
  public Optional<Route> routeFor(String model) {
    return routes.stream().filter(route -> route.match().model().matches(model)).findFirst();
  }

  /** The pool that a stage of this table's routes names. */
  public Pool pool(Stage stage) {
    Pool pool = pools.get(stage.pool());
    if (pool == null) {
      throw new IllegalArgumentException(
          "no pool \"%s\" in this table; it has %s".formatted(stage.pool(), pools.keySet()));
    }
    return pool;
  }

  private static void requireOwnName(String name, Pool pool) {
    if (!name.equals(pool.name())) {
      throw new IllegalArgumentException(
          "pool \"%s\" is listed as \"%s\"".formatted(pool.name(), name));
    }
  }

  /** Two pools may both be of models that a pattern means. */
  private static void requireOneModel(Route route, Map<String, Pool> pools) {
    long models =
        Stream.concat(route.prefill().stream(), Stream.of(route.decode()))
            .flatMap(stage -> Optional.ofNullable(pools.get(stage.pool())).stream())
            .map(Pool::model)
            .distinct()
            .count();
    if (models > 1) {
      throw new IllegalArgumentException(
          "route \"%s\": its pools serve different models".formatted(route.name()));
    }
  }

  private static void requireFits(Route route, Stage stage, Role role, Map<String, Pool> pools) {
    Pool pool = pools.get(stage.pool());
    if (pool == null || !route.takes(role, pool.role()) || !route.isServedAs(pool.model())) {
      throw new IllegalArgumentException(
          "route for \"%s\": \"%s\" is not a %s pool of that model"
              .formatted(route.model(), stage.pool(), role.keyword()));
    }
  }
}
