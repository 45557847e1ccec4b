package dev.millrace.transfer.sidechannel;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.transfer.TransferException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ThreadFactory;
import java.util.function.LongSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.zeromq.SocketType;
import org.zeromq.ZContext;
import org.zeromq.ZMQ;

@Timeout(60)
final class SideChannelTest {
  private static final Duration LONG = Duration.ofSeconds(20);
  private static final Duration SHORT = Duration.ofMillis(300);
  private static final Handshake ZERO = Recordings.handshake(Recordings.TP1);
  private static final Handshake ONE = Recordings.handshake(Recordings.TP2_RANK1);

  private SideChannelServer server;
  private SideChannelClient client;

  SideChannelTest() {
    server = serve();
    client = new SideChannelClient();
  }

  private static SideChannelServer serve() {
    return serve(ConnectorVersion.V14, SideChannelServer.Temper.FORGIVING);
  }

  private static SideChannelServer serve(
      ConnectorVersion version, SideChannelServer.Temper temper) {
    return SideChannelServer.start(
        "127.0.0.1",
        0,
        Map.of(new RankId(0, 0), ZERO, new RankId(0, 1), ONE),
        version,
        temper,
        () -> 5_000_000_000L);
  }

  @BeforeEach
  void bothAreThere() {
    assertThat(server.port()).isPositive();
  }

  @AfterEach
  void nothingIsLeft() throws InterruptedException {
    client.close();
    server.close();
    long deadlineNanos = System.nanoTime() + LONG.toNanos();
    while (Thread.getAllStackTraces().keySet().stream().anyMatch(SideChannelTest::isOwnThread)
        && System.nanoTime() < deadlineNanos) {
      Thread.sleep(5);
    }
    assertThat(Thread.getAllStackTraces().keySet()).noneMatch(SideChannelTest::isOwnThread);
  }

  private static boolean isOwnThread(Thread thread) {
    return thread.getName().startsWith("side-channel-");
  }

  /**
   * A counter's value once it is at least {@code least}: the server counts after it has answered.
   */
  private static long within(LongSupplier counter, long least) {
    long deadlineNanos = System.nanoTime() + LONG.toNanos();
    while (counter.getAsLong() < least && System.nanoTime() < deadlineNanos) {
      Thread.onSpinWait();
    }
    return counter.getAsLong();
  }

  @Test
  void ask_knownRanks_givesEachItsHandshake() {
    assertThat(client.ask("127.0.0.1", server.port(), 0, 0, LONG).join()).isEqualTo(ZERO);
    assertThat(client.ask("127.0.0.1", server.port(), 0, 1, LONG).join()).isEqualTo(ONE);
    assertThat(within(server::answered, 2)).isEqualTo(2);
  }

  @Test
  void ask_inTheOldForm_isAnswered() {
    assertThat(
            client
                .ask("127.0.0.1", server.port(), new RankId(0, 1), ConnectorVersion.V4, LONG)
                .join())
        .isEqualTo(ONE);
  }

  @Test
  void ask_manyAtOnce_allAreAnswered() {
    List<CompletableFuture<Handshake>> answers = new ArrayList<>();
    for (int i = 0; i < 40; i++) {
      answers.add(client.ask("127.0.0.1", server.port(), 0, i % 2, LONG));
    }
    for (int i = 0; i < 40; i++) {
      assertThat(answers.get(i).join()).isEqualTo(i % 2 == 0 ? ZERO : ONE);
    }
  }

  @Test
  void ask_afterReplace_givesTheNewOne() {
    server.replace(Map.of(new RankId(0, 0), ONE));

    assertThat(client.ask("127.0.0.1", server.port(), 0, 0, LONG).join()).isEqualTo(ONE);
  }

  @Test
  void reply_asVllmSendsIt_isTheRecordedBytesAndTheClock() throws IOException {
    try (Zmtp connection = connect("REQ")) {
      connection.send(List.of(new byte[0], Recordings.bytes(Recordings.TP1, "request")));

      assertThat(connection.receive(10).orElseThrow())
          .containsExactly(
              new byte[0],
              Recordings.bytes(Recordings.TP1, "reply0"),
              HandshakeCodec.encodeClock(5.0));
    }
  }

  private Zmtp connect(String type) throws IOException {
    Socket socket = new Socket(InetAddress.getLoopbackAddress(), server.port());
    Zmtp connection = new Zmtp(socket, 1 << 20);
    connection.within(LONG);
    connection.greet(type);
    return connection;
  }

  /** Another implementation of ZeroMQ; a fresh socket per try, as it loses some under load. */
  @Test
  void server_answersAnotherImplementation() {
    byte[] reply = null;
    for (int attempt = 0; reply == null && attempt < 20; attempt++) {
      try (ZContext context = new ZContext();
          ZMQ.Socket socket = context.createSocket(SocketType.REQ)) {
        socket.setReceiveTimeOut(2000);
        socket.connect("tcp://127.0.0.1:" + server.port());
        socket.send(Recordings.bytes(Recordings.TP1, "request"));
        reply = socket.recv();
      }
    }
    assertThat(reply).isEqualTo(Recordings.bytes(Recordings.TP1, "reply0"));
  }

  @Test
  void client_asksAnotherImplementation() {
    Handshake answer = null;
    for (int attempt = 0; answer == null && attempt < 20; attempt++) {
      try (ZContext context = new ZContext();
          ZMQ.Socket socket = context.createSocket(SocketType.REP)) {
        int port = socket.bindToRandomPort("tcp://127.0.0.1");
        socket.setReceiveTimeOut(2000);
        var asked = client.ask("127.0.0.1", port, 0, 0, Duration.ofSeconds(4));
        if (socket.recv() != null) {
          socket.sendMore(Recordings.bytes(Recordings.TP1, "reply0"));
          socket.send(Recordings.bytes(Recordings.TP1, "reply1"));
          answer = asked.join();
        }
      }
    }
    assertThat(answer).isEqualTo(ZERO);
  }

  @Test
  void ask_unknownRank_isNotAnsweredAndTheServerGoesOn() {
    assertThatThrownBy(() -> client.ask("127.0.0.1", server.port(), 0, 7, SHORT).join())
        .hasCauseInstanceOf(TransferException.class)
        .hasMessageContaining("tensor rank 7")
        .hasMessageContaining("no answer");

    assertThat(client.ask("127.0.0.1", server.port(), 0, 0, LONG).join()).isEqualTo(ZERO);
    assertThat(within(server::refused, 1)).isEqualTo(1);
  }

  @Test
  void server_survivesMessagesThatItDoesNotUnderstand() throws IOException {
    Random random = new Random(7);
    byte[] request = Recordings.bytes(Recordings.TP1, "request");
    int messages = 300;
    try (Zmtp connection = connect("DEALER")) {
      for (int i = 0; i < messages; i++) {
        byte[] garbage = new byte[random.nextInt(60)];
        random.nextBytes(garbage);
        // Without delimiter, with too many frames, with garbage behind a right delimiter.
        connection.send(
            switch (i % 3) {
              case 0 -> List.of(i % 2 == 0 ? request : garbage);
              case 1 -> Collections.nCopies(10, request);
              default -> List.of(new byte[0], garbage);
            });
      }
      connection.send(List.of(new byte[0], request));
      assertThat(connection.receive(10).orElseThrow())
          .contains(Recordings.bytes(Recordings.TP1, "reply0"));
    }
    assertThat(server.refused()).isEqualTo(messages);
  }

  @Test
  void server_messageWithoutEnd_isCutOff() throws IOException {
    try (Zmtp connection = connect("DEALER")) {
      assertThatThrownBy(
              () -> {
                for (int i = 0; i < 1000; i++) {
                  connection.send(Collections.nCopies(1000, new byte[0]));
                }
              })
          .isInstanceOf(IOException.class);
    }
    assertThat(client.ask("127.0.0.1", server.port(), 0, 0, LONG).join()).isEqualTo(ZERO);
    assertThat(within(server::refused, 1)).isEqualTo(1);
  }

  /** Its thread would be lost to others otherwise, and there are only so many. */
  @Test
  void server_askerThatTakesNoAnswers_isCutOff() throws IOException {
    byte[] request = Recordings.bytes(Recordings.TP1, "request");
    try (Zmtp connection = connect("DEALER")) {
      assertThatThrownBy(
              () -> {
                for (int i = 0; i < 10_000_000; i++) {
                  connection.send(List.of(new byte[0], request));
                }
              })
          .isInstanceOf(IOException.class);
    }
    assertThat(server.answered()).isPositive();
  }

  @Test
  void server_survivesStrangersOnItsPort() throws IOException {
    for (String greeting : List.of("GET / HTTP/1.1\r\n\r\n", "\u0016\u0003\u0001", "")) {
      try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), server.port())) {
        socket.getOutputStream().write(greeting.getBytes(UTF_8));
      }
    }
    assertThat(client.ask("127.0.0.1", server.port(), 0, 0, LONG).join()).isEqualTo(ZERO);
  }

  @Test
  void ask_nobodyThere_failsAtOnce() throws IOException {
    int free;
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      free = socket.getLocalPort();
    }
    assertThatThrownBy(() -> client.ask("127.0.0.1", free, 0, 0, LONG).join())
        .hasCauseInstanceOf(TransferException.class)
        .hasMessageContaining("127.0.0.1:" + free)
        .hasMessageContaining("refused");
  }

  @Test
  void ask_somebodyWhoSaysNothing_failsAtTheDeadline() throws IOException {
    try (ServerSocket socket = new ServerSocket(0, 10, InetAddress.getLoopbackAddress())) {
      assertThatThrownBy(() -> client.ask("127.0.0.1", socket.getLocalPort(), 0, 0, SHORT).join())
          .hasCauseInstanceOf(TransferException.class)
          .hasMessageContaining("no answer");
    }
  }

  @Test
  void ask_answerThatIsNone_saysWhatIsWrongWithIt() throws IOException {
    try (ServerSocket listener = new ServerSocket(0, 10, InetAddress.getLoopbackAddress())) {
      var answer = client.ask("127.0.0.1", listener.getLocalPort(), 0, 0, LONG);
      try (Zmtp connection = new Zmtp(listener.accept(), 1024)) {
        connection.within(LONG);
        connection.greet("ROUTER");
        assertThat(connection.receive(10).orElseThrow())
            .containsExactly(new byte[0], Recordings.bytes(Recordings.TP1, "request"));
        connection.send(List.of(new byte[0], new byte[] {(byte) 0x80}));

        assertThatThrownBy(answer::join)
            .hasCauseInstanceOf(TransferException.class)
            .hasMessageContaining("compatibility_hash");
      }
    }
  }

  @Test
  void ask_somethingElseThanZeroMq_saysSo() throws IOException {
    try (ServerSocket listener = new ServerSocket(0, 10, InetAddress.getLoopbackAddress())) {
      var answer = client.ask("127.0.0.1", listener.getLocalPort(), 0, 0, LONG);
      try (Socket socket = listener.accept()) {
        socket.getOutputStream().write("HTTP/1.1 400 Bad Request\r\n\r\n".getBytes(UTF_8));

        assertThatThrownBy(answer::join)
            .hasCauseInstanceOf(TransferException.class)
            .hasMessageContaining("does not speak ZeroMQ");
      }
    }
  }

  @Test
  void ask_afterClose_fails() {
    client.close();

    assertThatThrownBy(() -> client.ask("127.0.0.1", server.port(), 0, 0, LONG).join())
        .hasCauseInstanceOf(TransferException.class)
        .hasMessageContaining("closed");
  }

  @Test
  void ask_thatFindsNoMemoryForAThread_failsAtOnce() {
    ThreadFactory none =
        task -> {
          throw new OutOfMemoryError("unable to create native thread");
        };
    try (SideChannelClient without = new SideChannelClient(none)) {
      CompletableFuture<Handshake> answer =
          without.ask("127.0.0.1", server.port(), new RankId(0, 0), ConnectorVersion.V14, LONG);

      assertThat(answer).isCompletedExceptionally();
      assertThatThrownBy(answer::join).hasRootCauseInstanceOf(OutOfMemoryError.class);
    }
  }

  @Test
  void close_whileAsking_failsTheQuestion() throws IOException {
    try (ServerSocket socket = new ServerSocket(0, 10, InetAddress.getLoopbackAddress())) {
      var answer = client.ask("127.0.0.1", socket.getLocalPort(), 0, 0, LONG);
      client.close();

      assertThatThrownBy(answer::join).hasCauseInstanceOf(TransferException.class);
    }
  }

  @Test
  void start_onATakenPort_saysSo() {
    assertThatThrownBy(() -> SideChannelServer.start("127.0.0.1", server.port(), Map.of()))
        .isInstanceOf(TransferException.class)
        .hasMessageContaining("127.0.0.1:" + server.port());
  }

  @ParameterizedTest
  @EnumSource
  void ask_inTheFormOfItsVersion_isAnsweredByAVllm(ConnectorVersion version) {
    try (SideChannelServer vllm = serve(version, SideChannelServer.Temper.AS_VLLM)) {
      Handshake answer =
          client.ask("127.0.0.1", vllm.port(), new RankId(0, 1), version, LONG).join();

      assertThat(answer).isEqualTo(ONE);
    }
  }

  @ParameterizedTest
  @CsvSource({"V14, V4, 0", "V4, V14, 0", "V14, V14, 7"})
  void ask_whatAVllmDoesNotUnderstand_endsItForGood(
      ConnectorVersion listener, ConnectorVersion asked, int rank) {
    Duration brief = Duration.ofMillis(300);
    try (SideChannelServer vllm = serve(listener, SideChannelServer.Temper.AS_VLLM)) {
      for (RankId id : new RankId[] {new RankId(0, rank), new RankId(0, 0)}) {
        assertThatThrownBy(() -> client.ask("127.0.0.1", vllm.port(), id, asked, brief).join())
            .hasMessageContaining("gave no answer");
      }
      assertThatThrownBy(
              () -> client.ask("127.0.0.1", vllm.port(), new RankId(0, 0), listener, brief).join())
          .hasMessageContaining("gave no answer");
      assertThat(vllm.answered()).isZero();
    }
  }
}
