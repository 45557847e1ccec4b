package dev.millrace.router.match;

import dev.millrace.router.admit.Gate;
import dev.millrace.router.admit.GatesText;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What routes have taken on, in Prometheus' text format. */
public final class RoutesText {
  private RoutesText() {}

  /** All of it. */
  public static String of(List<ServedRoute> routes) {
    Map<String, Gate> gates = new LinkedHashMap<>();
    routes.forEach(each -> gates.put(each.name(), each.gate()));
    StringBuilder text = new StringBuilder(GatesText.of(gates));
    head(text, "millrace_route_branch_total", "Exchanges of split routes, by their branch");
    routes.stream().filter(ServedRoute::isSplit).forEach(each -> branches(text, each));
    head(text, "millrace_route_fallbacks_total", "Exchanges that another route took instead");
    routes.forEach(each -> fallbacks(text, each));
    return text.toString();
  }

  private static void branches(StringBuilder text, ServedRoute route) {
    for (ServedBranch branch : route.branches()) {
      text.append(
          "millrace_route_branch_total{route=\"%s\",branch=\"%s\"} %d\n"
              .formatted(
                  GatesText.escaped(route.name()),
                  GatesText.escaped(branch.name()),
                  branch.taken().sum()));
    }
  }

  private static void fallbacks(StringBuilder text, ServedRoute route) {
    route
        .fallbacks()
        .forEach((why, count) ->
            text.append(
                "millrace_route_fallbacks_total{route=\"%s\",reason=\"%s\"} %d\n"
                    .formatted(GatesText.escaped(route.name()), why, count.sum())));
  }

  private static void head(StringBuilder text, String name, String help) {
    text.append("# HELP ").append(name).append(' ').append(help).append(".\n");
    text.append("# TYPE ").append(name).append(" counter\n");
  }
}
