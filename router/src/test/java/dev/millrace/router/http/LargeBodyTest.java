package dev.millrace.router.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.PoolArenaMetric;
import io.netty.buffer.PooledByteBufAllocator;
import io.vertx.core.Future;
import io.vertx.core.Handler;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClient;
import io.vertx.core.http.HttpClientRequest;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.net.impl.ConnectionBase;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

final class LargeBodyTest {
  private static final int BYTES = 4 << 20;

  private final Vertx vertx = Vertx.vertx();
  private final HttpClient client = vertx.createHttpClient();

  @AfterEach
  void close() throws Exception {
    done(vertx.close());
  }

  @Test
  void chainOfSlices_arrivesAsItIs_andItsMemoryIsGivenBack() throws Exception {
    byte[] source = new byte[BYTES];
    for (int i = 0; i < BYTES; i++) {
      source[i] = (byte) ('a' + i % 26);
    }
    Buffer body = new Splice(source, BYTES).replace(10, 12, new byte[] {'X'}).toBuffer();
    HttpClientRequest request =
        requestTo(server -> server.body().onSuccess(server.response()::end));
    Buffer echoed = done(LargeBody.send(request, body).compose(response -> response.body()));
    assertThat(echoed.length()).isEqualTo(BYTES - 1);
    assertThat(echoed.getString(8, 13)).isEqualTo("ijXmn");
    assertThat(echoed.getByte(BYTES - 2)).isEqualTo(source[BYTES - 1]);
    assertNothingHeld();
  }

  @Test
  void peerThatResets_memoryIsGivenBack() throws Exception {
    HttpClientRequest request = requestTo(server -> server.connection().close());
    Future<?> answer = LargeBody.send(request, body());
    assertThat(failed(answer)).isTrue();
    assertNothingHeld();
  }

  @Test
  void peerThatReadsNothing_andARequestThatIsGivenUp_memoryIsGivenBack() throws Exception {
    HttpClientRequest request = requestTo(HttpServerRequest::pause);
    Future<?> answer = LargeBody.send(request, body());
    assertThat(heldAllocations()).isGreaterThan(0);
    onItsEventLoop(request, () -> HardReset.of(request));
    assertThat(failed(answer)).isTrue();
    assertNothingHeld();
  }

  private static void onItsEventLoop(HttpClientRequest request, Runnable what) {
    ((ConnectionBase) request.connection()).channelHandlerContext().executor().execute(what);
  }

  private static Buffer body() {
    return new Splice(new byte[BYTES], BYTES).toBuffer();
  }

  private HttpClientRequest requestTo(Handler<HttpServerRequest> handler) throws Exception {
    int port =
        done(vertx.createHttpServer().requestHandler(handler).listen(0, "127.0.0.1")).actualPort();
    return done(client.request(HttpMethod.POST, port, "127.0.0.1", "/"));
  }

  private static void assertNothingHeld() throws InterruptedException {
    for (int i = 0; i < 500 && heldAllocations() > 0; i++) {
      Thread.sleep(10);
    }
    assertThat(heldAllocations()).isZero();
  }

  /** Of this class alone: Vert.x and Netty have allocators of their own. */
  private static long heldAllocations() {
    return PooledByteBufAllocator.DEFAULT.metric().directArenas().stream()
        .mapToLong(PoolArenaMetric::numActiveAllocations)
        .sum();
  }

  private static boolean failed(Future<?> future) throws InterruptedException {
    for (int i = 0; i < 500 && !future.isComplete(); i++) {
      Thread.sleep(10);
    }
    return future.failed();
  }

  private static <T> T done(Future<T> future) throws Exception {
    return future.toCompletionStage().toCompletableFuture().get(10, TimeUnit.SECONDS);
  }
}
