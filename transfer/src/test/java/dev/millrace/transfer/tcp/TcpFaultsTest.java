package dev.millrace.transfer.tcp;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.transfer.Pattern;
import dev.millrace.transfer.Peer;
import dev.millrace.transfer.ReadOutcome;
import dev.millrace.transfer.ReadOutcome.Cause;
import dev.millrace.transfer.Registration;
import dev.millrace.transfer.RunList;
import dev.millrace.transfer.TransferException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What only TCP can get wrong. */
@Timeout(60)
final class TcpFaultsTest {
  private static final Duration LONG = Duration.ofSeconds(30);
  private static final int BYTES = 8 << 20;
  private static final TcpLimits IMPATIENT =
      new TcpLimits(2, 4, 8, 4, Duration.ofMillis(300), Duration.ofMillis(400));

  private final Arena arena = Arena.ofShared();
  private final TcpTransport owner = start("owner");
  private final TcpTransport reader = start("reader");
  private final MemorySegment source = Pattern.memory(arena, BYTES, 1);
  private final MemorySegment target = Pattern.blank(arena, BYTES);

  TcpFaultsTest() {
    owner.register(source);
    reader.register(target);
  }

  private static TcpTransport start(String name) {
    return TcpTransport.start(
        TcpTransportOptions.loopback(name, TcpTransportTest.SECRET).with(IMPATIENT));
  }

  @AfterEach
  void nothingIsLeft() {
    reader.close();
    owner.close();
    TcpTransportTest.assertHoldsNothing(reader.stats());
    TcpTransportTest.assertHoldsNothing(owner.stats());
    arena.close();
  }

  private static void await(BooleanSupplier condition) throws InterruptedException {
    long deadlineNanos = System.nanoTime() + LONG.toNanos();
    while (!condition.getAsBoolean() && System.nanoTime() < deadlineNanos) {
      Thread.sleep(2);
    }
    assertThat(condition.getAsBoolean()).isTrue();
  }

  private ReadOutcome readAll(Peer peer) {
    RunList runs = RunList.inOrder(BYTES / 65536, 65536, source, target);
    return peer.read(runs, Optional.empty(), LONG).join();
  }

  private static ReadOutcome.Failed failed(ReadOutcome outcome) {
    assertThat(outcome).isInstanceOf(ReadOutcome.Failed.class);
    return (ReadOutcome.Failed) outcome;
  }

  private Peer connect(Proxy proxy) {
    return reader.connect(proxy.description(), LONG).join();
  }

  // Strangers

  @ParameterizedTest
  @ValueSource(
      strings = {
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "MRTC",
        "MRTC\u0000\u0001\u0000\u0000 and then nothing that anybody could have signed, but long enough",
        "x",
        ""
      })
  void stranger_isTurnedAwayAndCounted(String greeting) throws Exception {
    try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), owner.port())) {
      socket.setSoTimeout((int) LONG.toMillis());
      socket.getOutputStream().write(greeting.getBytes(UTF_8));

      assertThat(drain(socket)).isLessThanOrEqualTo(56);
      await(() -> owner.stats().refusedConnections() == 1);
    }
    await(() -> owner.stats().connections() == 0);
    assertDone(readAll(reader.connect(owner.describe(), LONG).join()));
  }

  /** How many bytes the other end sends until it closes. */
  private static int drain(Socket socket) throws IOException {
    int count = 0;
    try {
      while (socket.getInputStream().read() >= 0) {
        count++;
      }
    } catch (SocketException reset) {
      // Closed while we were still sending.
    }
    return count;
  }

  private static void assertDone(ReadOutcome outcome) {
    assertThat(outcome).isInstanceOf(ReadOutcome.Done.class);
  }

  @Test
  void strangers_moreThanTheLimit_areTurnedAwayAtOnce() throws Exception {
    Socket[] silent = new Socket[6];
    for (int i = 0; i < silent.length; i++) {
      silent[i] = new Socket(InetAddress.getLoopbackAddress(), owner.port());
    }
    await(() -> owner.stats().refusedConnections() == silent.length);
    for (Socket each : silent) {
      each.close();
    }
    assertDone(readAll(reader.connect(owner.describe(), LONG).join()));
  }

  @Test
  void restartedOwner_isNotTakenForTheOneThatDescribedItself() {
    Description described = Description.decode(owner.describe());
    byte[] old =
        new Description(new UUID(1, 2), described.name(), described.host(), described.port())
            .encode();

    assertThatThrownBy(() -> reader.connect(old, LONG).join())
        .hasCauseInstanceOf(TransferException.class)
        .hasMessageContaining("another process");
  }

  // Tampering and broken connections

  @ParameterizedTest
  @ValueSource(longs = {200, 1 << 20, 5 << 20})
  void flippedBit_isFoundByTheChecksum(long at) throws IOException {
    Proxy.Meddling flip =
        (piece, length, passed) -> {
          if (passed <= at && at < passed + length) {
            piece[(int) (at - passed)] ^= 4;
          }
        };
    try (Proxy proxy = new Proxy(owner.describe(), flip)) {
      ReadOutcome.Failed outcome = failed(readAll(connect(proxy)));

      assertThat(outcome.cause()).isEqualTo(Cause.CORRUPT);
      assertThat(outcome.reason()).contains("checksum");
    }
  }

  @Test
  void flippedBitInAHeader_isFoundBeforeItsLengthIsBelieved() throws IOException {
    // The greeting's answers have 56 + 32 bytes; then the first frame's length.
    int at = 56 + 32;
    Proxy.Meddling flip =
        (piece, length, passed) -> {
          if (passed <= at && at < passed + length) {
            piece[(int) (at - passed)] ^= 0x10;
          }
        };
    try (Proxy proxy = new Proxy(owner.describe(), flip)) {
      ReadOutcome.Failed outcome = failed(readAll(connect(proxy)));

      assertThat(outcome.cause()).isEqualTo(Cause.CORRUPT);
      assertThat(outcome.reason()).contains("header");
    }
  }

  @Test
  void reset_duringARead_failsItAsPeerLost() throws IOException {
    Proxy.Meddling reset =
        (piece, length, passed) -> {
          if (passed > 3 << 20) {
            throw new IOException("enough");
          }
        };
    try (Proxy proxy = new Proxy(owner.describe(), reset)) {
      Peer peer = connect(proxy);

      ReadOutcome.Failed outcome = failed(readAll(peer));

      assertThat(outcome.cause()).isEqualTo(Cause.PEER_LOST);
      assertThat(outcome.reason()).contains("owner");
      // A reset drops what had arrived but was not read yet.
      assertThat(outcome.bytes()).isLessThan(BYTES);
    }
  }

  @Test
  void silence_duringARead_failsItAsPeerLostLongBeforeTheDeadline() throws IOException {
    CountDownLatch end = new CountDownLatch(1);
    Proxy.Meddling silence =
        (piece, length, passed) -> {
          if (passed > 3 << 20) {
            try {
              end.await();
            } catch (InterruptedException e) {
              throw new IOException(e);
            }
          }
        };
    try (Proxy proxy = new Proxy(owner.describe(), silence)) {
      ReadOutcome.Failed outcome = failed(readAll(connect(proxy)));

      assertThat(outcome.cause()).isEqualTo(Cause.PEER_LOST);
      assertThat(outcome.reason()).contains("nothing moved for 400 ms");
      end.countDown();
    }
  }

  // Endings that meet the end of a read

  /** A list that is empty, and does something first: nothing is left that could fail. */
  private static RunList nothingBut(Runnable action) {
    return new RunList().when(0, action);
  }

  @Test
  void close_whenAReadHasNothingLeftToDo_settlesIt() {
    Peer peer = reader.connect(owner.describe(), LONG).join();

    ReadOutcome outcome =
        peer.read(nothingBut(peer::close), Optional.empty(), LONG)
            .orTimeout(LONG.toSeconds(), TimeUnit.SECONDS)
            .join();

    assertThat(failed(outcome).cause()).isEqualTo(Cause.CLOSED);
  }

  @Test
  void deadline_whenAReadHasNothingLeftToDo_settlesItAndTheNextReadWorks() {
    Peer peer = reader.connect(owner.describe(), LONG).join();
    // The deadline closes the connection that the read has borrowed.
    RunList late = nothingBut(() -> awaitQuietly(() -> owner.stats().connections() == 0));

    ReadOutcome outcome =
        peer.read(late, Optional.empty(), Duration.ofMillis(100))
            .orTimeout(LONG.toSeconds(), TimeUnit.SECONDS)
            .join();

    assertThat(failed(outcome).cause()).isEqualTo(Cause.DEADLINE);
    assertDone(readAll(peer));
  }

  private static void awaitQuietly(BooleanSupplier condition) {
    try {
      await(condition);
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void afterClose_everythingFailsAsClosed() {
    Peer peer = reader.connect(owner.describe(), LONG).join();
    reader.close();

    assertThat(failed(readAll(peer)).cause()).isEqualTo(Cause.CLOSED);
    assertThatThrownBy(() -> reader.connect(owner.describe(), LONG).join())
        .hasCauseInstanceOf(TransferException.class)
        .hasMessageContaining("closed");
    assertThatThrownBy(() -> peer.notify(new byte[1], LONG).join())
        .hasCauseInstanceOf(TransferException.class)
        .hasMessageContaining("closed");
  }

  // Peers that know the secret but not the protocol

  private Wire authenticated() throws IOException {
    Wire wire = proved();
    wire.send(FrameType.HELLO, 0, "raw".getBytes(UTF_8));
    return wire;
  }

  private Wire proved() throws IOException {
    SocketChannel channel =
        SocketChannel.open(new InetSocketAddress(InetAddress.getLoopbackAddress(), owner.port()));
    channel.socket().setSoTimeout((int) LONG.toMillis());
    Wire wire = new Wire(channel, "owner", () -> {});
    Authentication.prove(
        wire,
        TcpTransportTest.SECRET,
        Description.decode(owner.describe()).instance(),
        new SecureRandom());
    return wire;
  }

  private static ByteBuffer header(int length, int type) {
    ByteBuffer header = ByteBuffer.allocate(Wire.HEADER_BYTES);
    header.putInt(length).put((byte) type).put((byte) 0).putShort((short) 0).putInt(1).putInt(0);
    CRC32C crc = new CRC32C();
    crc.update(header.array(), 0, header.position());
    return header.putInt((int) crc.getValue()).flip();
  }

  @ParameterizedTest
  @ValueSource(ints = {Integer.MAX_VALUE, -1, 1 << 20, 12 * 1024 + 1})
  void frame_longerThanAllowed_closesTheConnectionWithoutAllocating(int length) throws IOException {
    try (Wire wire = authenticated()) {
      wire.writeFully(header(length, 2));

      assertThat(wire.nextHeader()).isEmpty();
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 3, 4, 6, 7, 99})
  void frame_thatIsNoRequest_closesTheConnection(int type) throws IOException {
    try (Wire wire = authenticated()) {
      wire.writeFully(header(0, type));

      assertThat(wire.nextHeader()).isEmpty();
    }
  }

  @Test
  void frame_thatNeverEnds_isGivenUp() throws Exception {
    try (Wire wire = authenticated()) {
      wire.writeFully(header(1200, 2));

      assertThat(wire.nextHeader()).isEmpty();
    }
    await(() -> owner.stats().connections() == 0);
  }

  @Test
  void peer_thatDoesNotSayWhoItIs_isGivenUp() throws Exception {
    try (Wire wire = proved()) {
      assertThat(wire.nextHeader()).isEmpty();
    }
    await(() -> owner.stats().connections() == 0);
  }

  @Test
  void request_forFarMoreThanThereIs_isRefusedByTheAddress() throws IOException {
    try (Wire wire = authenticated()) {
      ByteBuffer runs = ByteBuffer.allocate(1024 * Batch.RUN_BYTES);
      while (runs.hasRemaining()) {
        runs.putLong(source.address()).putInt(-1);
      }
      wire.send(FrameType.READ, 7, runs.array());

      Wire.Header answer = wire.header();
      assertThat(answer.type()).isEqualTo(FrameType.ERROR);
      ReadFailure failure = Refusal.decode(wire.receive(answer));
      assertThat(failure.kind()).isEqualTo(Cause.OUT_OF_BOUNDS);
      assertThat(failure).hasMessageContaining(Long.toHexString(source.address()));
    }
  }

  @Test
  void reader_thatDoesNotRead_isGivenUpAndItsMemoryIsFree() throws Exception {
    try (Wire wire = authenticated()) {
      ByteBuffer runs = ByteBuffer.allocate(1024 * Batch.RUN_BYTES);
      while (runs.hasRemaining()) {
        runs.putLong(source.address()).putInt(BYTES);
      }
      // 8 GiB asked for; what the owner keeps for it is a socket's buffer.
      wire.send(FrameType.READ, 7, runs.array());

      await(() -> owner.stats().bytesServed() > 0);
      await(() -> owner.stats().connections() == 0);
    }
  }

  @Test
  void reads_moreThanMayWait_areRefused() {
    Peer peer = reader.connect(owner.describe(), LONG).join();
    CountDownLatch goOn = new CountDownLatch(1);
    RunList waiting =
        RunList.inOrder(2, 64, source, target)
            .when(
                1,
                () -> {
                  try {
                    goOn.await();
                  } catch (InterruptedException e) {
                    throw new AssertionError(e);
                  }
                });
    for (int i = 0; i < 2 + 4; i++) {
      assertThat(peer.read(waiting, Optional.empty(), LONG)).isNotDone();
    }

    ReadOutcome outcome = peer.read(waiting, Optional.empty(), LONG).join();

    assertThat(failed(outcome).cause()).isEqualTo(Cause.OVERLOADED);
    goOn.countDown();
  }

  @Test
  void closeOfMemory_whoseReadDoesNotComeToAnEnd_saysSoInTime() {
    Peer peer = reader.connect(owner.describe(), LONG).join();
    MemorySegment passing = Pattern.blank(arena, 4096);
    Registration registration = reader.register(passing);
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch goOn = new CountDownLatch(1);
    RunList stuck =
        RunList.inOrder(2, 64, source, passing)
            .when(
                1,
                () -> {
                  begun.countDown();
                  await(goOn);
                });
    CompletableFuture<ReadOutcome> read = peer.read(stuck, Optional.empty(), LONG);
    await(begun);

    assertThatThrownBy(registration::close)
        .isInstanceOf(TransferException.class)
        .hasMessageContaining("must not be freed yet");

    goOn.countDown();
    registration.close();
    assertThat(failed(read.join()).bytes()).isLessThanOrEqualTo(128);
  }

  private static void await(CountDownLatch latch) {
    awaitQuietly(() -> latch.getCount() == 0);
  }

  // Options

  @Test
  void options_withoutAReachableAddress_areRefused() {
    assertThatThrownBy(() -> TcpTransportOptions.on("x", "0.0.0.0", 0, TcpTransportTest.SECRET))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("advertised host");
    assertThat(
            TcpTransportOptions.on("x", "10.0.0.4", 0, TcpTransportTest.SECRET)
                .boundTo("0.0.0.0")
                .advertisedHost())
        .isEqualTo("10.0.0.4");
  }

  @Test
  void secret_isNotShown() {
    assertThat(TcpTransportOptions.loopback("x", TcpTransportTest.SECRET).toString())
        .doesNotContain("tests");
    assertThat(new String(owner.describe(), UTF_8)).doesNotContain("tests");
  }

  @Test
  void start_onATakenPort_saysSo() {
    assertThatThrownBy(() ->
            TcpTransport.start(
                TcpTransportOptions.on(
                    "second", "127.0.0.1", owner.port(), TcpTransportTest.SECRET)))
        .isInstanceOf(TransferException.class)
        .hasMessageContaining("127.0.0.1:" + owner.port());
  }
}
