package dev.millrace.router;

import io.vertx.core.Context;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpClient;
import io.vertx.core.http.HttpClientOptions;
import io.vertx.core.http.HttpConnection;
import io.vertx.core.http.PoolOptions;
import io.vertx.core.internal.ContextInternal;
import java.time.Duration;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.random.RandomGenerator;

/** What one event loop owns: its client with its connections, its scheduler, its random source. */
final class Lane {
  /** vLLM closes idle connections after 5 s (VLLM_HTTP_TIMEOUT_KEEP_ALIVE); reusing one races. */
  private static final Duration UPSTREAM_KEEP_ALIVE = Duration.ofSeconds(4);

  private static final Duration CONNECT_WITHIN = Duration.ofSeconds(5);

  /** Connections to one worker; a stream holds one for seconds, and engines queue by themselves. */
  private static final int MOST_CONNECTIONS = 16 << 10;

  /** A connection is opened or refused, never waited for. */
  private static final int MOST_WAITING = 1 << 10;

  /** Prompts come in large pieces; each piece is copied once. */
  static final int CHUNK_BYTES = 64 << 10;

  static final int MOST_HEADER_BYTES = 32 << 10;

  final House house;
  final HttpClient client;
  final EventLoopScheduler scheduler;
  final RandomGenerator random;
  private final Set<HttpConnection> fresh = Collections.newSetFromMap(new IdentityHashMap<>());

  Lane(House house, Vertx vertx, Context context, RandomGenerator random) {
    this.house = house;
    this.random = random;
    this.scheduler = new EventLoopScheduler((ContextInternal) context);
    this.client =
        vertx
            .httpClientBuilder()
            .with(clientOptions())
            .with(
                new PoolOptions()
                    .setHttp1MaxSize(MOST_CONNECTIONS)
                    .setMaxWaitQueueSize(MOST_WAITING))
            .withConnectHandler(this::connected)
            .build();
  }

  static HttpClientOptions clientOptions() {
    HttpClientOptions options = new HttpClientOptions();
    options.setKeepAlive(true);
    options.setKeepAliveTimeout(Math.toIntExact(UPSTREAM_KEEP_ALIVE.toSeconds()));
    options.setPipelining(false);
    options.setMaxChunkSize(CHUNK_BYTES);
    options.setMaxHeaderSize(MOST_HEADER_BYTES);
    options.setConnectTimeout(Math.toIntExact(CONNECT_WITHIN.toMillis()));
    options.setIdleTimeout(0).setIdleTimeoutUnit(TimeUnit.SECONDS);
    options.setDecompressionSupported(false);
    return options;
  }

  long now() {
    return house.nanoClock.getAsLong();
  }

  private void connected(HttpConnection connection) {
    fresh.add(connection);
    connection.closeHandler(v -> fresh.remove(connection));
    // The leg that is open on it hears of it too, and says it better.
    connection.exceptionHandler(e -> {});
  }

  /** Whether a connection carries its first leg; true once per connection. */
  Fault.Connection firstUse(HttpConnection connection) {
    return fresh.remove(connection) ? Fault.Connection.FRESH : Fault.Connection.REUSED;
  }
}
