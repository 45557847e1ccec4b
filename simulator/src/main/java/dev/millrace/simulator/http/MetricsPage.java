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
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;

/** {@code /metrics}, with the names and labels of vLLM 0.32.0. */
public final class MetricsPage {
  private final String model;
  private final List<Engine> engines;
  private final StringBuilder page = new StringBuilder(8192);

  /**
   * One of the data-parallel ranks that the page is about.
   *
   * @param rank its number, in the label {@code engine}
   * @param stats what it holds
   * @param running generations under way
   * @param counters what it has done
   * @param transfers what it has read
   * @param nativeTransfers what a library says of that; empty if none is used
   */
  public record Engine(
      int rank,
      EngineStats stats,
      int running,
      Counters counters,
      TransferHistograms transfers,
      Optional<NativeTransfers> nativeTransfers) {
    private double usedShare() {
      int all = stats.usedBlocks() + stats.freeBlocks();
      return all == 0 ? 0 : (double) stats.usedBlocks() / all;
    }
  }

  private MetricsPage(EngineConfig config, List<Engine> engines) {
    this.model = "model_name=\"" + escaped(config.model()) + "\"";
    this.engines = engines;
  }

  /** As the exposition format wants label values. */
  private static String escaped(String value) {
    return value.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n");
  }

  /**
   * The page of an engine.
   *
   * @param started when it was started; who restarts an engine finds another time here
   * @param engines its data-parallel ranks
   */
  public static String of(EngineConfig config, Instant started, List<Engine> engines) {
    MetricsPage page = new MetricsPage(config, engines);
    page.startTime(started);
    page.histogram("nixl_xfer_time_seconds", TransferHistograms::seconds);
    page.histogram("nixl_post_time_seconds", TransferHistograms::postSeconds);
    page.histogram("nixl_bytes_transferred", TransferHistograms::bytes);
    page.histogram("nixl_num_descriptors", TransferHistograms::descriptors);
    page.counter("nixl_num_failed_transfers", of -> of.failedTransfers.get());
    page.counter("nixl_num_failed_notifications", of -> of.failedNotifications.get());
    page.counter("nixl_num_kv_expired_reqs", of -> of.expiredHandoffs.get());
    page.counter("nixl_num_notifications_after_expiry", of -> of.lateNotifications.get());
    page.gauge("num_requests_running", Engine::running);
    page.gauge("num_requests_waiting", engine -> engine.stats().waitingRequests());
    page.type("num_requests_waiting_by_reason", "gauge");
    page.waiting("capacity", engine -> engine.stats().waitingRequests());
    page.waiting("deferred", engine -> 0);
    page.gauge("kv_cache_usage_perc", Engine::usedShare);
    page.counter("prefix_cache_queries", of -> of.promptTokens.get());
    page.counter("prefix_cache_hits", of -> of.cachedTokens.get());
    page.counter(
        "external_prefix_cache_queries", of -> of.promptTokens.get() - of.cachedTokens.get());
    page.counter("external_prefix_cache_hits", of -> of.promisedTokens.get());
    page.counter("num_preemptions", of -> 0);
    page.counter("prompt_tokens", of -> of.promptTokens.get());
    page.type("prompt_tokens_by_source_total", "counter");
    page.source("local_compute", of -> of.computedTokens.get());
    page.source("local_cache_hit", of -> of.cachedTokens.get());
    page.source("external_kv_transfer", of -> of.loadedTokens.get());
    page.counter("prompt_tokens_cached", of -> of.cachedTokens.get() + of.loadedTokens.get());
    page.counter("generation_tokens", of -> of.generationTokens.get());
    page.type("request_success_total", "counter");
    page.ended("stop", of -> of.endedByStop.get());
    page.ended("length", of -> of.endedByLength.get());
    page.ended("abort", of -> of.endedByAbort.get());
    page.ended("error", of -> of.endedByError.get());
    page.type("cache_config_info", "gauge");
    CacheShape shape = new CacheShape(config.geometry());
    for (Engine engine : engines) {
      page.page.append(
          "vllm:cache_config_info{block_size=\"%d\",cache_dtype=\"%s\",enable_prefix_caching=\"%s\",engine=\"%d\",num_gpu_blocks=\"%d\"} 1.0\n"
              .formatted(
                  shape.idTokens(),
                  escaped(config.flags().cacheDtype()),
                  config.prefixCaching() ? "True" : "False",
                  engine.rank(),
                  shape.ids()));
    }
    engines.stream()
        .flatMap(engine -> engine.nativeTransfers().stream())
        .reduce(NativeTransfers::plus)
        .ifPresent(page::nativeTransfers);
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

  private void counter(String name, ToDoubleFunction<Counters> value) {
    type(name + "_total", "counter");
    engines.forEach(engine ->
        line(name + "_total", labels(engine, ""), value.applyAsDouble(engine.counters())));
  }

  private void gauge(String name, ToDoubleFunction<Engine> value) {
    type(name, "gauge");
    engines.forEach(engine -> line(name, labels(engine, ""), value.applyAsDouble(engine)));
  }

  private void source(String source, ToDoubleFunction<Counters> value) {
    engines.forEach(engine ->
        line(
            "prompt_tokens_by_source_total",
            labels(engine, "") + ",source=\"" + source + "\"",
            value.applyAsDouble(engine.counters())));
  }

  private void waiting(String reason, ToDoubleFunction<Engine> value) {
    engines.forEach(engine ->
        line(
            "num_requests_waiting_by_reason",
            labels(engine, "") + ",reason=\"" + reason + "\"",
            value.applyAsDouble(engine)));
  }

  private void ended(String reason, ToDoubleFunction<Counters> value) {
    engines.forEach(engine ->
        line(
            "request_success_total",
            labels(engine, "finished_reason=\"" + reason + "\","),
            value.applyAsDouble(engine.counters())));
  }

  private void histogram(String name, Function<TransferHistograms, Histogram> histogram) {
    type(name, "histogram");
    for (Engine engine : engines) {
      Histogram.Snapshot now = histogram.apply(engine.transfers()).snapshot();
      for (Histogram.Bucket bucket : now.buckets()) {
        String bound = bucket.bound() == Double.POSITIVE_INFINITY ? "+Inf" : number(bucket.bound());
        line(name + "_bucket", labels(engine, "le=\"" + bound + "\","), bucket.upTo());
      }
      line(name + "_count", labels(engine, ""), now.buckets().getLast().upTo());
      line(name + "_sum", labels(engine, ""), now.sum());
    }
  }

  /** In the order of the alphabet, as Python's client has them. */
  private String labels(Engine engine, String between) {
    return "engine=\"" + engine.rank() + "\"," + between + model;
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
