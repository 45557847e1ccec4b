package dev.millrace.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.Layout;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** Misbehaviours and clients that leave, seen from a bare socket. */
class MisbehaviourTest {
  @RegisterExtension private final EngineInvariants engines = new EngineInvariants();

  private static final String STREAM = Legs.with(Legs.body("abc", 20), "stream", "true");

  @Test
  void refuse_answersWithTheStatus() {
    SimulatedEngine engine = engines.start(c -> c);
    engine.misbehave(new Misbehaviour.Refuse(503));
    assertThat(Caller.complete(engine, STREAM).statusCode()).isEqualTo(503);
    engine.behave();
    assertThat(Caller.complete(engine, STREAM).statusCode()).isEqualTo(200);
  }

  @Test
  void stallBeforeHead_sendsNothing() throws IOException {
    SimulatedEngine engine = engines.start(c -> c);
    engine.misbehave(new Misbehaviour.StallBeforeHead());
    try (Exchange exchange = new Exchange(engine, STREAM)) {
      assertThat(exchange.readUntilQuiet()).isEmpty();
      assertThat(engine.stats().openRequests()).isEqualTo(1);
    }
  }

  @Test
  void stallBeforeFirstToken_sendsTheHeadOnly() throws IOException {
    SimulatedEngine engine = engines.start(c -> c);
    engine.misbehave(new Misbehaviour.StallBeforeFirstToken());
    try (Exchange exchange = new Exchange(engine, STREAM)) {
      assertThat(exchange.readUntilQuiet()).startsWith("HTTP/1.1 200 OK").doesNotContain("data:");
    }
  }

  @Test
  void stallMidStream_sendsSoManyTokens() throws IOException {
    SimulatedEngine engine = engines.start(c -> c);
    engine.misbehave(new Misbehaviour.StallMidStream(3));
    try (Exchange exchange = new Exchange(engine, STREAM)) {
      assertThat(exchange.readUntilQuiet().split("data: ", -1)).hasSize(4);
    }
  }

  @Test
  void resetBeforeHead_closesTheConnection() throws IOException {
    SimulatedEngine engine = engines.start(c -> c);
    engine.misbehave(new Misbehaviour.ResetBeforeHead());
    try (Exchange exchange = new Exchange(engine, STREAM)) {
      assertThat(exchange.readToEnd()).isEmpty();
    }
  }

  @Test
  void resetMidStream_closesTheConnectionAfterSoManyTokens() throws IOException {
    SimulatedEngine engine = engines.start(c -> c);
    engine.misbehave(new Misbehaviour.ResetMidStream(2));
    try (Exchange exchange = new Exchange(engine, STREAM)) {
      assertThat(exchange.readToEnd()).doesNotContain("[DONE]").contains("data: ");
    }
    assertThat(Caller.get(engine, "/health").statusCode()).isEqualTo(200);
  }

  @Test
  void dieMidStream_endsTheEngine() throws IOException {
    SimulatedEngine engine = engines.start(c -> c);
    engine.misbehave(new Misbehaviour.DieMidStream(2));
    try (Exchange exchange = new Exchange(engine, STREAM)) {
      assertThat(exchange.readToEnd()).doesNotContain("[DONE]").contains("data: ");
    }
    EngineInvariants.await(() -> !Caller.reaches(engine));
  }

  @Test
  void clientLeaves_midStream_everythingIsFree() throws IOException {
    SimulatedEngine engine = engines.start(c -> c.timing(new Timing(0, Duration.ofMillis(10))));
    try (Exchange exchange = new Exchange(engine, STREAM.replace("20", "200"))) {
      exchange.readSome();
      assertThat(engine.stats().usedBlocks()).isPositive();
    }
    EngineInvariants.await(() -> engine.stats().usedBlocks() == 0);
  }

  @Test
  void clientLeaves_whileWaitingForBlocks_prefillIsReleased() throws IOException {
    SimulatedEngine prefill =
        engines.start(c -> c.geometry(EngineInvariants.geometry(1, 16, Layout.HND)));
    SimulatedEngine decode =
        engines.start(c ->
            c.timing(new Timing(0, Duration.ofMillis(10)))
                .geometry(EngineInvariants.geometry(1, 16, Layout.HND, 9)));
    String prompt = Legs.prompt(40);
    try (Exchange running = new Exchange(decode, Legs.body("long", 120))) {
      EngineInvariants.await(() -> decode.stats().usedBlocks() == 8);
      String params = Legs.prefill(prefill, prompt);
      String body = Legs.with(Legs.body(prompt, 4), "kv_transfer_params", params);
      try (Exchange waiting = new Exchange(decode, body)) {
        EngineInvariants.await(() -> decode.stats().waitingRequests() == 1);
        assertThat(waiting.isOpen()).isTrue();
      }
      EngineInvariants.await(() -> prefill.stats().heldBlocks() == 0);
      assertThat(running.isOpen()).isTrue();
    }
    EngineInvariants.await(() -> decode.stats().openRequests() == 0);
  }

  /** The prefill engine's side channel is silent, so the load goes on until vLLM's 5 s are over. */
  @Test
  void clientLeaves_whileLoading_everythingIsFreeWhenTheLoadIsOver() throws IOException {
    SimulatedEngine prefill = engines.start(c -> c.lease(Duration.ofSeconds(1)));
    SimulatedEngine decode = engines.start(c -> c);
    String prompt = Legs.prompt(40);
    try (ServerSocket silent = new ServerSocket(0, 10, InetAddress.getLoopbackAddress())) {
      String params =
          Legs.prefill(prefill, prompt)
              .replaceFirst("\"remote_port\":\\d+", "\"remote_port\":" + silent.getLocalPort());
      String body = Legs.with(Legs.body(prompt, 4), "kv_transfer_params", params);
      try (Exchange exchange = new Exchange(decode, body)) {
        EngineInvariants.await(() -> decode.stats().usedBlocks() > 0);
        assertThat(exchange.isOpen()).isTrue();
      }
      EngineInvariants.await(() -> decode.stats().openRequests() == 0);
      EngineInvariants.await(() -> decode.stats().usedBlocks() == 0);
    }
    assertThat(decode.stats().failedTransfers()).isEqualTo(1);
    assertThat(Legs.aggregated(decode, prompt, 4)).isEqualTo(Legs.aggregated(prefill, prompt, 4));
    assertThat(decode.stats().promptTokensByLocalCache()).isZero();
  }

  @Test
  void clientLeaves_duringPrefill_everythingIsFree() throws IOException {
    SimulatedEngine engine = engines.start(c -> c.timing(new Timing(10, Duration.ZERO)));
    try (Exchange exchange = new Exchange(engine, Legs.body(Legs.prompt(400), 4))) {
      EngineInvariants.await(() -> engine.stats().usedBlocks() > 0);
      assertThat(exchange.isOpen()).isTrue();
    }
    EngineInvariants.await(() -> engine.stats().usedBlocks() == 0);
  }

  /** One request on a socket of its own. */
  private static final class Exchange implements AutoCloseable {
    private final Socket socket;

    Exchange(SimulatedEngine engine, String body) throws IOException {
      socket = new Socket(InetAddress.getLoopbackAddress(), engine.uri().getPort());
      byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
      String head =
          "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
              + "Content-Length: %d\r\n\r\n".formatted(bytes.length);
      socket.getOutputStream().write(head.getBytes(StandardCharsets.US_ASCII));
      socket.getOutputStream().write(bytes);
    }

    boolean isOpen() {
      return !socket.isClosed();
    }

    void readSome() throws IOException {
      socket.setSoTimeout(20_000);
      assertThat(socket.getInputStream().read()).isNotNegative();
    }

    String readUntilQuiet() throws IOException {
      return read(700);
    }

    String readToEnd() throws IOException {
      return read(20_000);
    }

    private String read(int quietMillis) throws IOException {
      socket.setSoTimeout(quietMillis);
      ByteArrayOutputStream received = new ByteArrayOutputStream();
      byte[] buffer = new byte[4096];
      try {
        for (int read = socket.getInputStream().read(buffer);
            read >= 0;
            read = socket.getInputStream().read(buffer)) {
          received.write(buffer, 0, read);
        }
      } catch (SocketTimeoutException e) {
        if (quietMillis > 1000) {
          throw e;
        }
      }
      return received.toString(StandardCharsets.UTF_8);
    }

    @Override
    public void close() throws IOException {
      socket.close();
    }
  }
}
