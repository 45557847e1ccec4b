package dev.millrace.router.telemetry;

import java.util.function.Function;
import java.util.function.ToLongFunction;

/** Numbers of several of a kind, in Prometheus' text format. */
public final class PrometheusText {
  private final StringBuilder text = new StringBuilder();

  /** Nothing yet. */
  public PrometheusText() {}

  /**
   * A number of each.
   *
   * @param type {@code counter} or {@code gauge}
   * @param help a sentence without its full stop
   * @param labels of one, from {@link #label}
   */
  public <T> PrometheusText each(
      String name,
      String type,
      String help,
      Iterable<T> all,
      Function<T, String> labels,
      ToLongFunction<T> value) {
    text.append("# HELP ").append(name).append(' ').append(help).append(".\n");
    text.append("# TYPE ").append(name).append(' ').append(type).append('\n');
    for (T one : all) {
      text.append(name)
          .append('{')
          .append(labels.apply(one))
          .append("} ")
          .append(value.applyAsLong(one))
          .append('\n');
    }
    return this;
  }

  /** A label with its value. */
  public static String label(String name, String value) {
    return "%s=\"%s\""
        .formatted(name, value.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n"));
  }

  @Override
  public String toString() {
    return text.toString();
  }
}
