package dev.millrace.cli;

import io.vertx.core.json.JsonObject;
import java.util.Locale;
import java.util.Map;

/** A waterfall as lines with bars: each part begins where the one before it ended. */
final class WaterfallText {
  private static final int COLUMNS = 40;
  private static final double SHOWN_FROM_MILLIS = 0.005;

  private WaterfallText() {}

  /**
   * Draws a waterfall.
   *
   * @param waterfall as the admin port gives it
   */
  static String of(JsonObject waterfall) {
    double total = waterfall.getDouble("total_ms", 0.0);
    StringBuilder text = new StringBuilder();
    double from = 0;
    for (Map.Entry<String, Object> part : waterfall.getJsonObject("parts_ms")) {
      if (part.getValue() instanceof Number number) {
        double millis = number.doubleValue();
        if (millis >= SHOWN_FROM_MILLIS) {
          text.append(line(part.getKey(), millis, from / total, (from + millis) / total));
        }
        from += millis;
      }
    }
    text.append("  %-22s%9s ms%n".formatted("total", millis(total)));
    return text.append(transfer(waterfall.getJsonObject("transfer"))).toString();
  }

  /** The reads lie somewhere within the decode engine's time, so they are no part with a bar. */
  private static String transfer(JsonObject transfer) {
    return transfer.getValue("bytes") instanceof Number
        ? "  the decode engine reports %d bytes read in %s ms%n"
            .formatted(transfer.getLong("bytes"), millis(transfer.getDouble("seconds", 0.0) * 1000))
        : "  the decode engine's reads are unknown: %s%n".formatted(transfer.getString("why"));
  }

  private static String line(String name, double millis, double from, double to) {
    int start = Math.clamp(Math.round(from * COLUMNS), 0, COLUMNS - 1);
    int end = Math.clamp(Math.round(to * COLUMNS), start + 1, COLUMNS);
    return "  %-22s%9s ms  %s%s%n"
        .formatted(name, millis(millis), " ".repeat(start), "█".repeat(end - start));
  }

  private static String millis(double millis) {
    return String.format(Locale.ROOT, "%.2f", millis);
  }
}
