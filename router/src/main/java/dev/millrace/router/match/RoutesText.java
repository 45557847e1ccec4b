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
    for (ServedRoute each : routes) {
      if (each.isSplit()) {
        each.branches()
            .forEach(branch ->
                text.append("millrace_route_branch_total{route=\"")
                    .append(GatesText.escaped(each.name()))
                    .append("\",branch=\"")
                    .append(GatesText.escaped(branch.name()))
                    .append("\"} ")
                    .append(branch.taken().sum())
                    .append('\n'));
      }
    }
    return text.toString();
  }

  private static void head(StringBuilder text, String name, String help) {
    text.append("# HELP ").append(name).append(' ').append(help).append(".\n");
    text.append("# TYPE ").append(name).append(" counter\n");
  }
}
