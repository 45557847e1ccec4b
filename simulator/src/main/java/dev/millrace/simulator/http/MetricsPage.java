package dev.millrace.simulator.http;

import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.EngineStats;
import dev.millrace.simulator.cache.CacheShape;
import dev.millrace.simulator.core.Counters;
import dev.millrace.simulator.core.NativeTransfers;
import dev.millrace.simulator.core.TransferHistograms;
import dev.millrace.simulator.core.TransferHistograms.Histogram;
import java.math.BigDecimal;
import java.time.Instant;
import java.util.Optional;

/** {@code /metrics}, with the names and labels of vLLM 0.32.0. */
public final class MetricsPage {
  private final String labels;
  private final StringBuilder page = new StringBuilder(8192);

  private MetricsPage(EngineConfig config) {
    labels = "engine=\"0\",model_name=\"" + escaped(config.model()) + "\"";
  }

  /** As the exposition format wants label values. */
  private static String escaped(String value) {
    return value.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n");
  }

  /**
   * The page of an engine.
   *
   * @param started when it was started; who restarts an engine finds another time here
   */
  public static String of(
      EngineConfig config,
      Instant started,
      EngineStats stats,
      int running,
      Counters counters,
      TransferHistograms transfers,
      Optional<NativeTransfers> nativeTransfers) {
    MetricsPage page = new MetricsPage(config);
    page.startTime(started);
    page.histogram("nixl_xfer_time_seconds", transfers.seconds());
    page.histogram("nixl_bytes_transferred", transfers.bytes());
    page.histogram("nixl_num_descriptors", transfers.descriptors());
    page.counter("nixl_num_failed_transfers", (double) counters.failedTransfers.get());
    page.counter("nixl_num_failed_notifications", (double) counters.failedNotifications.get());
    page.counter("nixl_num_kv_expired_reqs", (double) counters.expiredHandoffs.get());
    page.counter("nixl_num_notifications_after_expiry", (double) counters.lateNotifications.get());
    page.gauge("num_requests_running", running);
    page.gauge("num_requests_waiting", stats.waitingRequests());
    int all = stats.usedBlocks() + stats.freeBlocks();
    page.gauge("kv_cache_usage_perc", all == 0 ? 0 : (double) stats.usedBlocks() / all);
    long queried = counters.promptTokens.get();
    page.counter("prefix_cache_queries", (double) queried);
    page.counter("prefix_cache_hits", (double) counters.cachedTokens.get());
    page.counter("external_prefix_cache_queries", (double) (queried - counters.cachedTokens.get()));
    page.counter("external_prefix_cache_hits", (double) counters.promisedTokens.get());
    page.counter("num_preemptions", 0);
    page.counter("prompt_tokens", (double) queried);
    page.type("prompt_tokens_by_source_total", "counter");
    page.source("local_compute", (double) counters.computedTokens.get());
    page.source("local_cache_hit", (double) counters.cachedTokens.get());
    page.source("external_kv_transfer", (double) counters.loadedTokens.get());
    page.counter(
        "prompt_tokens_cached",
        (double) (counters.cachedTokens.get() + counters.loadedTokens.get()));
    page.counter("generation_tokens", (double) counters.generationTokens.get());
    page.type("request_success_total", "counter");
    page.ended("stop", (double) counters.endedByStop.get());
    page.ended("length", (double) counters.endedByLength.get());
    page.ended("abort", (double) counters.endedByAbort.get());
    page.ended("error", (double) counters.endedByError.get());
    page.type("cache_config_info", "gauge");
    CacheShape shape = new CacheShape(config.geometry());
    page.page.append(
        "vllm:cache_config_info{block_size=\"%d\",cache_dtype=\"%s\",enable_prefix_caching=\"%s\",engine=\"0\",num_gpu_blocks=\"%d\"} 1.0\n"
            .formatted(
                shape.idTokens(),
                escaped(config.flags().cacheDtype()),
                shape.hasStates() ? "False" : "True",
                shape.ids()));
    nativeTransfers.ifPresent(page::nativeTransfers);
    return page.page.toString();
  }

  /** What a library's own telemetry adds up to; no vLLM has these. */
  private void nativeTransfers(NativeTransfers moved) {
    String library = "{library=\"" + escaped(moved.library()) + "\"} ";
    own("native_requests", library, (double) moved.requests());
    own("native_descriptors", library, (double) moved.descriptors());
    own("native_bytes", library, (double) moved.bytes());
    own("native_seconds", library, moved.took().toNanos() / 1e9);
  }

  private void own(String name, String inBraces, double value) {
    String metric = "millrace_sim_" + name + "_total";
    page.append("# TYPE ").append(metric).append(" counter\n");
    page.append(metric).append(inBraces).append(number(value)).append('\n');
  }

  /** A metric of Python's client, not of vLLM: no prefix, no labels. */
  private void startTime(Instant started) {
    page.append("# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds ");
    page.append(number(started.toEpochMilli() / 1e3)).append('\n');
  }

  private void type(String name, String type) {
    page.append("# TYPE vllm:").append(name).append(' ').append(type).append('\n');
  }

  private void counter(String name, double value) {
    type(name + "_total", "counter");
    line(name + "_total", labels, value);
  }

  private void gauge(String name, double value) {
    type(name, "gauge");
    line(name, labels, value);
  }

  private void source(String source, double value) {
    line("prompt_tokens_by_source_total", labels + ",source=\"" + source + "\"", value);
  }

  private void ended(String reason, double value) {
    line(
        "request_success_total",
        "engine=\"0\",finished_reason=\""
            + reason
            + "\","
            + labels.substring(labels.indexOf(',') + 1),
        value);
  }

  private void histogram(String name, Histogram histogram) {
    type(name, "histogram");
    Histogram.Snapshot now = histogram.snapshot();
    for (Histogram.Bucket bucket : now.buckets()) {
      String bound = bucket.bound() == Double.POSITIVE_INFINITY ? "+Inf" : number(bucket.bound());
      line(
          name + "_bucket",
          "engine=\"0\",le=\"" + bound + "\"," + labels.substring(labels.indexOf(',') + 1),
          bucket.upTo());
    }
    line(name + "_count", labels, now.buckets().getLast().upTo());
    line(name + "_sum", labels, now.sum());
  }

  private void line(String name, String inBraces, double value) {
    page.append("vllm:").append(name).append('{').append(inBraces).append("} ");
    page.append(number(value)).append('\n');
  }

  /**
   * As the Prometheus client of Python prints numbers: with an exponent from a million on ({@code
   * floatToGoString}).
   */
  private static String number(double value) {
    String plain = new BigDecimal(Double.toString(value)).toPlainString();
    String digits = plain.contains(".") ? plain : plain + ".0";
    int dot = digits.indexOf('.');
    if (value <= 0 || dot <= 6) {
      return digits;
    }
    String fraction = (digits.substring(1, dot) + digits.substring(dot + 1)).replaceAll("0+$", "");
    return digits.charAt(0) + (fraction.isEmpty() ? "" : "." + fraction) + "e+0" + (dot - 1);
  }
}
