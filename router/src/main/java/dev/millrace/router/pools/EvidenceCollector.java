package dev.millrace.router.pools;

import dev.millrace.router.http.Body;
import dev.millrace.router.http.MetricsText;
import io.vertx.core.Context;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpClient;
import io.vertx.core.http.HttpClientResponse;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.RequestOptions;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Looks at decode workers' {@code /metrics} when legs have ended on them.
 *
 * <p>It runs on an event loop of its own, after the exchange: it can delay no answer. A worker is
 * asked only while the router has nothing open on it, at most every {@link #PAUSE}.
 */
public final class EvidenceCollector {
  private static final Duration PAUSE = Duration.ofMillis(250);
  private static final Duration ANSWER_WITHIN = Duration.ofSeconds(2);
  private static final int MOST_METRICS_BYTES = 8 << 20;
  private static final String BYTES = "vllm:nixl_bytes_transferred_sum";
  private static final String SECONDS = "vllm:nixl_xfer_time_seconds_sum";
  private static final String TOKENS = "vllm:prompt_tokens_by_source_total";

  private final Vertx vertx;
  private final Context context;
  private final HttpClient client;
  private final ConcurrentMap<Worker, Boolean> pending = new ConcurrentHashMap<>();

  /** A collector that works on a context with a client. */
  public EvidenceCollector(Vertx vertx, Context context, HttpClient client) {
    this.vertx = vertx;
    this.context = context;
    this.client = client;
  }

  /** Says that a leg has ended, from any thread. */
  public void legEnded(Worker worker) {
    if (worker.evidence().wantsLook() && pending.putIfAbsent(worker, true) == null) {
      context.runOnContext(v -> look(worker));
    }
  }

  /** Whether every worker has been looked at since the last leg on it ended. */
  public boolean isAtRest() {
    return pending.isEmpty();
  }

  private void look(Worker worker) {
    if (!worker.evidence().lookBegins()) {
      pending.remove(worker);
      return;
    }
    RequestOptions metrics =
        worker.options(HttpMethod.GET, "/metrics").setTimeout(ANSWER_WITHIN.toMillis());
    client
        .request(metrics)
        .compose(request -> request.send())
        .compose(response -> counters(worker, response))
        .timeout(ANSWER_WITHIN.toMillis(), TimeUnit.MILLISECONDS)
        .onComplete(counters -> {
          worker.evidence().lookEnded(counters.succeeded() ? counters.result() : null);
          vertx.setTimer(PAUSE.toMillis(), v -> pauseEnded(worker));
        });
  }

  private void pauseEnded(Worker worker) {
    pending.remove(worker);
    legEnded(worker);
  }

  private static Future<TransferEvidence.@Nullable Counters> counters(
      Worker worker, HttpClientResponse response) {
    return Body.collect(response, MOST_METRICS_BYTES)
        .map(body ->
            response.statusCode() == 200
                ? countersIn(worker.ownIn(new MetricsText(body.bytes(), body.length())))
                : null);
  }

  /** The sums over all label sets, or null if there are none. */
  static TransferEvidence.@Nullable Counters countersIn(MetricsText page) {
    Optional<Double> bytes = page.sum(BYTES);
    return bytes.isEmpty()
        ? null
        : new TransferEvidence.Counters(
            bytes.get(),
            page.sum(SECONDS).orElse(0.0),
            tokens(page, "external_kv_transfer"),
            tokens(page, "local_compute"));
  }

  /** Negative where the engine does not count it. */
  private static double tokens(MetricsText page, String source) {
    List<MetricsText.Sample> samples =
        page.samples(TOKENS).stream()
            .filter(sample -> sample.label("source").filter(source::equals).isPresent())
            .toList();
    return samples.isEmpty() ? -1 : samples.stream().mapToDouble(MetricsText.Sample::value).sum();
  }
}
