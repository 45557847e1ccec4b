package dev.millrace.router.choose;

import dev.millrace.router.telemetry.PrometheusText;
import java.util.Collection;

/** What routes spend on retries, in Prometheus' text format. */
public final class RetriesText {
  private RetriesText() {}

  /** All of it. */
  public static String of(Collection<Chooser> choosers) {
    return new PrometheusText()
        .each(
            "millrace_route_retries_total",
            "counter",
            "Times that an exchange was tried again after a failure",
            choosers,
            RetriesText::labels,
            chooser -> chooser.retries().retries())
        .each(
            "millrace_route_retries_refused_total",
            "counter",
            "Failures that were answered as they were because the retry budget was spent",
            choosers,
            RetriesText::labels,
            chooser -> chooser.retries().refused())
        .toString();
  }

  private static String labels(Chooser chooser) {
    return PrometheusText.label("route", chooser.route().name());
  }
}
