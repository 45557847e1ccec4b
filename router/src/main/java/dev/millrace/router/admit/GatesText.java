package dev.millrace.router.admit;

import java.util.Map;
import java.util.function.ToLongFunction;

/** Gates by their route's name, in Prometheus' text format. */
public final class GatesText {
  private GatesText() {}

  /** All of them. */
  public static String of(Map<String, Gate> gates) {
    StringBuilder text = new StringBuilder();
    write(
        text,
        gates,
        "millrace_route_exchanges",
        "gauge",
        "Exchanges that have a place",
        Gate::inside);
    write(
        text,
        gates,
        "millrace_route_waiting",
        "gauge",
        "Exchanges that wait for one",
        Gate::waiting);
    write(
        text,
        gates,
        "millrace_route_refused_total",
        "counter",
        "Exchanges that got none",
        Gate::refused);
    return text.toString();
  }

  /** A label's value. */
  public static String escaped(String value) {
    return value.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n");
  }

  private static void write(
      StringBuilder text,
      Map<String, Gate> gates,
      String name,
      String type,
      String help,
      ToLongFunction<Gate> value) {
    text.append("# HELP ").append(name).append(' ').append(help).append(".\n");
    text.append("# TYPE ").append(name).append(' ').append(type).append('\n');
    gates.forEach((route, gate) ->
        text.append(name)
            .append("{route=\"")
            .append(escaped(route))
            .append("\"} ")
            .append(value.applyAsLong(gate))
            .append('\n'));
  }
}
