package dev.millrace.router.match;

import static dev.millrace.router.telemetry.PrometheusText.label;

import dev.millrace.router.telemetry.PrometheusText;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.ToLongFunction;

/** What routes have taken on, in Prometheus' text format. */
public final class RoutesText {
  private final List<ServedRoute> routes;
  private final PrometheusText text = new PrometheusText();

  private RoutesText(List<ServedRoute> routes) {
    this.routes = routes;
  }

  /** A branch of a split route. */
  private record Share(ServedRoute route, ServedBranch branch) {}

  /** What a route's fallbacks have taken for a reason. */
  private record FellBack(ServedRoute route, Map.Entry<String, LongAdder> why) {}

  /** All of it. */
  public static String of(List<ServedRoute> routes) {
    return new RoutesText(routes).all();
  }

  private String all() {
    each("exchanges", "gauge", "Exchanges that have a place", route -> route.gate().inside());
    each("waiting", "gauge", "Exchanges that wait for one", route -> route.gate().waiting());
    each("refused_total", "counter", "Exchanges that got none", route -> route.gate().refused());
    each(
        "waiting_for_room",
        "gauge",
        "Exchanges that wait for room in a decode worker's KV cache",
        route -> route.branches().stream().mapToLong(ServedBranch::waitingForRoom).sum());
    text.each(
        "millrace_route_branch_total",
        "counter",
        "Exchanges of split routes, by their branch",
        shares(),
        share -> of(share.route()) + "," + label("branch", share.branch().name()),
        share -> share.branch().taken().sum());
    text.each(
        "millrace_route_fallbacks_total",
        "counter",
        "Exchanges that another route took instead",
        fellBack(),
        one -> of(one.route()) + "," + label("reason", one.why().getKey()),
        one -> one.why().getValue().sum());
    return text.toString();
  }

  private void each(String name, String type, String help, ToLongFunction<ServedRoute> value) {
    text.each("millrace_route_" + name, type, help, routes, RoutesText::of, value);
  }

  private static String of(ServedRoute route) {
    return label("route", route.name());
  }

  private List<Share> shares() {
    return routes.stream()
        .filter(ServedRoute::isSplit)
        .flatMap(route -> route.branches().stream().map(branch -> new Share(route, branch)))
        .toList();
  }

  private List<FellBack> fellBack() {
    return routes.stream()
        .flatMap(
            route -> route.fallbacks().entrySet().stream().map(why -> new FellBack(route, why)))
        .toList();
  }
}
