package dev.millrace.router.pools;

import dev.millrace.router.telemetry.PrometheusText;
import java.util.List;
import java.util.function.ToLongFunction;

/** Workers, and which of them are in use, in Prometheus' text format. */
public final class WorkersText {
  private final List<Worker> workers;
  private final PrometheusText text = new PrometheusText();

  private WorkersText(List<Worker> workers) {
    this.workers = workers;
  }

  /** All of them. */
  public static String of(Workers workers) {
    return new WorkersText(workers.all().toList()).all();
  }

  private String all() {
    each(
        "in_use",
        "gauge",
        "Whether the worker is given exchanges, by what became of earlier ones",
        worker -> worker.breaker().isClosed() ? 1 : 0);
    each(
        "ejections_total",
        "counter",
        "Times that the worker was taken out of use",
        worker -> worker.breaker().ejections());
    each(
        "ejections_withheld_total",
        "counter",
        "Times that it was not, because too few of its pool would have been left",
        worker -> worker.breaker().withheld());
    each("legs_total", "counter", "Legs that the worker was sent", Worker::totalLegs);
    each("legs_failed_total", "counter", "Legs that failed", Worker::totalFailedLegs);
    return text.toString();
  }

  private void each(String name, String type, String help, ToLongFunction<Worker> value) {
    text.each("millrace_worker_" + name, type, help, workers, WorkersText::labels, value);
  }

  private static String labels(Worker worker) {
    return PrometheusText.label("pool", worker.pool())
        + ","
        + PrometheusText.label("worker", worker.url());
  }
}
