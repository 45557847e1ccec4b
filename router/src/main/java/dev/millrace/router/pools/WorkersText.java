package dev.millrace.router.pools;

import dev.millrace.config.Role;
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
    kv(
        "tokens",
        "Tokens that its KV cache has room for; 0 if that is not known",
        KvRoom.View::total);
    kv("reserved_tokens", "Tokens of it that exchanges under way need", KvRoom.View::reserved);
    kv("used_tokens", "Tokens of it that were in use when it was last asked", KvRoom.View::used);
    return text.toString();
  }

  private void kv(String name, String help, ToLongFunction<KvRoom.View> value) {
    text.each(
        "millrace_worker_kv_" + name,
        "gauge",
        help,
        workers.stream().filter(worker -> worker.role() != Role.PREFILL).toList(),
        WorkersText::labels,
        worker -> value.applyAsLong(worker.kvRoom().view()));
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
