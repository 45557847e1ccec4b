package dev.millrace.router.match;

import dev.millrace.config.ModelPattern;
import dev.millrace.router.choose.Chooser;
import dev.millrace.router.http.Api;
import io.vertx.core.MultiMap;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The routes of a table, in the order in which they are tried. Shared by all event loops.
 *
 * <p>Those with the more specific pattern come first ({@link ModelPattern#MOST_SPECIFIC_FIRST}), of
 * those with the same the ones with more conditions, and of these the ones that stand first in the
 * table. A request takes the first that matches it with all of its conditions.
 */
public final class RouteIndex {
  private static final Comparator<ServedRoute> ORDER =
      Comparator.comparing(
              (ServedRoute each) -> each.route().match().model(), ModelPattern.MOST_SPECIFIC_FIRST)
          .thenComparingInt(each -> -each.route().match().conditions());

  private final List<ServedRoute> inTable;
  private final Map<String, ServedRoute> byName = new HashMap<>();
  private final Map<String, List<ServedRoute>> byModel;
  private final List<ServedRoute> patterns;

  /** An index of routes in the order of their table. */
  public RouteIndex(List<ServedRoute> inTable) {
    this.inTable = List.copyOf(inTable);
    this.inTable.forEach(each -> byName.put(each.name(), each));
    this.byModel =
        inOrder(inTable, ModelPattern::isExact).stream()
            .collect(Collectors.groupingBy(each -> each.route().model()));
    this.patterns = inOrder(inTable, pattern -> !pattern.isExact());
  }

  private static List<ServedRoute> inOrder(
      List<ServedRoute> routes, Predicate<ModelPattern> which) {
    return routes.stream()
        .filter(each -> which.test(each.route().match().model()))
        .sorted(ORDER)
        .toList();
  }

  /** All of them, in the order of the table. */
  public List<ServedRoute> all() {
    return inTable;
  }

  /** Who chooses workers, of every branch of every route. */
  public List<Chooser> choosers() {
    return inTable.stream()
        .flatMap(each -> each.branches().stream())
        .map(ServedBranch::chooser)
        .toList();
  }

  /** The one that is called so, or null if none is. */
  public @Nullable ServedRoute called(String name) {
    return byName.get(name);
  }

  /** The route for a request that names no model: the only one there is, or null. */
  public @Nullable ServedRoute only(Api api, MultiMap headers) {
    return inTable.size() == 1 ? first(inTable, api, headers) : null;
  }

  /** The route that names a request's model, or null if none that does takes it. */
  public @Nullable ServedRoute naming(String model, Api api, MultiMap headers) {
    List<ServedRoute> some = byModel.get(model);
    return some == null ? null : first(some, api, headers);
  }

  /** The route whose pattern a request's model looks like, or null if none takes it. */
  public @Nullable ServedRoute like(String model, Api api, MultiMap headers) {
    for (ServedRoute each : patterns) {
      if (each.route().match().model().matches(model) && each.takes(api, headers)) {
        return each;
      }
    }
    return null;
  }

  /** The first route that a model looks like, for whoever sends these headers. */
  public Optional<ServedRoute> like(String model, MultiMap headers) {
    return patterns.stream()
        .filter(each -> each.route().match().model().matches(model) && each.isSeenWith(headers))
        .findFirst();
  }

  /** The first of some that takes a request for a model of theirs, or null if none does. */
  public static @Nullable ServedRoute first(List<ServedRoute> some, Api api, MultiMap headers) {
    for (int i = 0; i < some.size(); i++) {
      if (some.get(i).takes(api, headers)) {
        return some.get(i);
      }
    }
    return null;
  }

  /** Some of them, by the conditions of whom to try first. */
  public static List<ServedRoute> mostConditionsFirst(List<ServedRoute> some) {
    return some.stream()
        .sorted(Comparator.comparingInt(each -> -each.route().match().conditions()))
        .toList();
  }
}
