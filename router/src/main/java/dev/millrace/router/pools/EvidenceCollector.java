package dev.millrace.router.pools;

import dev.millrace.router.http.Body;
import io.vertx.core.Context;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpClient;
import io.vertx.core.http.HttpClientResponse;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.RequestOptions;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
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
  private static final byte[] BYTES = ascii("vllm:nixl_bytes_transferred_sum");
  private static final byte[] SECONDS = ascii("vllm:nixl_xfer_time_seconds_sum");

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
        .compose(this::counters)
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

  private Future<TransferEvidence.@Nullable Counters> counters(HttpClientResponse response) {
    return Body.collect(response, MOST_METRICS_BYTES)
        .map(body -> response.statusCode() == 200 ? countersIn(body.bytes(), body.length()) : null);
  }

  /** The sums over all label sets, or null if there are none. */
  static TransferEvidence.@Nullable Counters countersIn(byte[] text, int length) {
    double bytes = 0;
    double seconds = 0;
    boolean found = false;
    for (int from = 0; from < length; ) {
      int to = from;
      while (to < length && text[to] != '\n') {
        to++;
      }
      if (isSample(text, from, to, BYTES)) {
        bytes += valueOf(text, from, to);
        found = true;
      } else if (isSample(text, from, to, SECONDS)) {
        seconds += valueOf(text, from, to);
      }
      from = to + 1;
    }
    return found && !Double.isNaN(bytes) && !Double.isNaN(seconds)
        ? new TransferEvidence.Counters(bytes, seconds)
        : null;
  }

  private static boolean isSample(byte[] text, int from, int to, byte[] name) {
    int end = from + name.length;
    return end < to
        && (text[end] == '{' || text[end] == ' ')
        && Arrays.equals(text, from, end, name, 0, name.length);
  }

  private static double valueOf(byte[] text, int from, int to) {
    int space = to - 1;
    while (space > from && text[space] != ' ') {
      space--;
    }
    try {
      return Double.parseDouble(
          new String(text, space + 1, to - space - 1, StandardCharsets.US_ASCII));
    } catch (NumberFormatException e) {
      return Double.NaN;
    }
  }

  private static byte[] ascii(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }
}
