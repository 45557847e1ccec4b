package dev.millrace.transfer.nixl;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.transfer.BlockTransport;
import dev.millrace.transfer.Pattern;
import dev.millrace.transfer.Peer;
import dev.millrace.transfer.ReadOutcome;
import dev.millrace.transfer.ReadOutcome.Cause;
import dev.millrace.transfer.Registration;
import dev.millrace.transfer.RemoteOwner;
import dev.millrace.transfer.RunList;
import dev.millrace.transfer.Signals;
import dev.millrace.transfer.TransferException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/**
 * What was seen of NIXL 1.5.1 to end a process, to hang, or to answer "success" where there was
 * none, and what becomes of it here: it is refused before NIXL sees it, or it is survived. Each row
 * is tried from outside, as a caller or a peer would.
 *
 * <p>Run by {@link NixlHazardsTest} in processes of their own. Rows that are elsewhere:
 *
 * <ul>
 *   <li>status of a released request; calls of a closed agent: {@link NixlHandleTest}
 *   <li>release of a request in flight; buffers of an abandoned read; reads that hang and their
 *       quarantine; an agent that is destroyed under its readers: {@link TcpFaults}
 *   <li>a peer that stays unusable after a failed transfer: {@link SharedMemoryHazards}
 *   <li>ranges outside, kills, notifications: {@link dev.millrace.transfer.BlockTransportContract}
 * </ul>
 *
 * <p>One row has no answer: over TCP, a reader that is killed while its reads are answered can take
 * the owner with it (UCX 1.23 aborts on a reply to a lost endpoint). See docs/transport.md.
 */
@NixlInstalled
class NixlHazards {
  private static final long MIB = 1 << 20;
  private static final Duration LONG = Duration.ofSeconds(30);

  private final Arena arena = Arena.ofShared();
  private final List<AutoCloseable> open = new ArrayList<>();

  @AfterEach
  void closeAll() throws Exception {
    for (AutoCloseable each : open.reversed()) {
      each.close();
    }
    arena.close();
  }

  private NixlTransport transport(String name) {
    NixlTransport transport = NixlTransportTest.open(name, NixlTransportTest.SECRET);
    open.add(transport);
    return transport;
  }

  private AgentHandle stranger() {
    AgentHandle agent =
        AgentHandle.open(NixlInstalled.Library.present(), "stranger-" + UUID.randomUUID(), 1);
    open.add(agent);
    return agent;
  }

  private RemoteOwner owner() throws IOException {
    RemoteOwner owner = RemoteOwner.launch(NixlOwner.class, 4 * MIB, 5);
    open.add(owner);
    return owner;
  }

  private static MemorySegment at(RemoteOwner owner) {
    return MemorySegment.ofAddress(owner.address()).reinterpret(4 * MIB);
  }

  private static ReadOutcome read(Peer peer, RunList runs) {
    return peer.read(runs, Optional.empty(), LONG).join();
  }

  private static void assertFailed(ReadOutcome outcome, Cause cause) {
    assertThat(outcome).isInstanceOf(ReadOutcome.Failed.class);
    ReadOutcome.Failed failed = (ReadOutcome.Failed) outcome;
    assertThat(failed.cause()).as(failed.reason()).isEqualTo(cause);
  }

  /** Reads all memory of the owner, which proves that both sides are alive and well. */
  private void assertReadable(BlockTransport reader, Peer peer, RemoteOwner owner) {
    MemorySegment target = Pattern.blank(arena, 4 * MIB);
    try (Registration _ = reader.register(target)) {
      ReadOutcome outcome = read(peer, RunList.scattered(1024, 4096, at(owner), target, 1));
      assertThat(outcome).isInstanceOf(ReadOutcome.Done.class);
      MemorySegment image = Pattern.blank(arena, 4 * MIB);
      MemorySegment expected = Pattern.memory(arena, 4 * MIB, 5);
      RunList.scattered(1024, 4096, expected, target, 1).copy(expected, target, image);
      assertThat(target.mismatch(image)).isEqualTo(-1);
    }
  }

  // What kills a process

  @Test
  @DisplayName("kills the peer: a length of -1, or address + length past 2^64 | refused")
  void lengthThatWraps_neverReachesThePeer() throws IOException {
    NixlTransport reader = transport("reader");
    RemoteOwner owner = owner();
    Peer peer = reader.connect(owner.description(), LONG).join();
    MemorySegment target = Pattern.blank(arena, MIB);
    reader.register(target);
    long from = owner.address();
    long to = target.address();

    for (long bytes : new long[] {-1, 0, Long.MIN_VALUE, Long.MAX_VALUE, -from, -from + 64}) {
      assertFailed(read(peer, new RunList().add(from + 64, to + 64, bytes)), Cause.OUT_OF_BOUNDS);
    }
    for (long address : new long[] {-1, -64, 0, 1, from - 1, from + 4 * MIB - 63, -from}) {
      assertFailed(read(peer, new RunList().add(address, to, 64)), Cause.OUT_OF_BOUNDS);
      assertFailed(read(peer, new RunList().add(from, address, 64)), Cause.OUT_OF_BOUNDS);
    }

    assertThat(target.mismatch(Pattern.blank(arena, MIB))).isEqualTo(-1);
    assertReadable(reader, peer, owner);
  }

  @Test
  @DisplayName("kills the peer: the same, in a description by somebody with the secret | refused")
  void descriptionOfMemoryThatWraps_isRefused() {
    NixlTransport reader = transport("reader");
    NixlTransport owner = transport("owner");
    MemorySegment memory = arena.allocate(4096, 64);
    owner.register(memory);
    byte[] sealed = owner.describe();
    int at = indexOf(sealed, memory.address());

    for (long bytes : new long[] {-1, 0, Long.MIN_VALUE, -memory.address()}) {
      ByteBuffer.wrap(sealed).putLong(at + 8, bytes);
      assertThatThrownBy(() -> reader.connect(resealed(sealed), LONG).join())
          .hasCauseInstanceOf(TransferException.class)
          .hasMessageContaining("malformed");
    }
    assertThat(reader.connect(owner.describe(), LONG).join().name()).isEqualTo("owner");
  }

  private static int indexOf(byte[] bytes, long number) {
    ByteBuffer buffer = ByteBuffer.wrap(bytes);
    for (int i = 0; i + 8 <= bytes.length; i++) {
      if (buffer.getLong(i) == number) {
        return i;
      }
    }
    throw new AssertionError("the description does not have its memory");
  }

  /** The same bytes under a fresh signature: what only somebody with the secret can make. */
  private static byte[] resealed(byte[] sealed) {
    int signed = sealed.length - 32;
    byte[] signature =
        NixlTransportTest.SECRET.sign(
            "millrace nixl description", ByteBuffer.wrap(sealed, 0, signed));
    byte[] forged = Arrays.copyOf(sealed, sealed.length);
    System.arraycopy(signature, 0, forged, signed, signature.length);
    return forged;
  }

  @Test
  @DisplayName(
      "kills the holder: it frees memory that a reader is reading | not before it is let go")
  void memoryOfTheOwner_isFreeOnlyAfterItsReaderLetGo() throws Exception {
    NixlTransport owner = transport("owner");
    Arena own = Arena.ofShared();
    MemorySegment memory = Pattern.memory(own, 4 * MIB, 9);
    Registration registration = owner.register(memory);
    try (RemoteReader reader =
        RemoteReader.launch(owner.describe(), memory.address(), memory.byteSize())) {
      registration.close();
      own.close();

      assertThat(reader.line()).isEqualTo("OUT_OF_BOUNDS");
      assertThat(reader.process().waitFor()).isZero();
    }
  }

  @Test
  @DisplayName("kills the reader: it frees memory that a read writes | not before the read let go")
  void memoryOfTheReader_isFreeOnlyAfterItsReadsLetGo() throws IOException {
    NixlTransport reader = transport("reader");
    RemoteOwner owner = owner();
    Peer peer = reader.connect(owner.description(), LONG).join();
    for (int round = 0; round < 5; round++) {
      Arena own = Arena.ofShared();
      MemorySegment target = Pattern.blank(own, 4 * MIB);
      Registration registration = reader.register(target);
      CompletableFuture<ReadOutcome> reading =
          peer.read(
              RunList.scattered(1024, 4096, at(owner), target, round), Optional.empty(), LONG);

      registration.close();
      own.close();

      // Either the read was through, or it ended because of it.
      if (reading.join() instanceof ReadOutcome.Failed failed) {
        assertThat(failed.cause()).isEqualTo(Cause.OUT_OF_BOUNDS);
      }
    }
    assertReadable(reader, peer, owner);
  }

  @Test
  @DisplayName("kills the loader: a changed or cut metadata blob | refused, whatever byte it is")
  void description_changedOrCutAnywhere_isRefusedAndTheGoodOneStillLoads() {
    NixlTransport reader = transport("reader");
    NixlTransport owner = transport("owner");
    owner.register(arena.allocate(4096));
    byte[] good = owner.describe();

    for (int at = 0; at < good.length; at++) {
      for (int change : new int[] {0x01, 0x80, 0xff}) {
        byte[] altered = good.clone();
        altered[at] ^= (byte) change;
        assertRefused(reader, altered);
      }
      assertRefused(reader, Arrays.copyOf(good, at));
    }

    assertThat(reader.connect(good, LONG).join().name()).isEqualTo("owner");
  }

  private static void assertRefused(NixlTransport reader, byte[] description) {
    CompletableFuture<Peer> refused = reader.connect(description, LONG);
    assertThat(refused).as("before anything was tried").isCompletedExceptionally();
    assertThatThrownBy(refused::join).hasCauseInstanceOf(TransferException.class);
  }

  @Test
  @DisplayName("kills the loader: NIXL's own metadata without a signature | refused")
  void metadataWithoutASignature_isRefused() {
    NixlTransport reader = transport("reader");
    NixlTransport owner = transport("owner");
    owner.register(arena.allocate(4096));

    assertRefused(reader, owner.engineMetadata());
  }

  @Test
  @DisplayName("kills the older one: releases that do not go together meet | refused on both sides")
  void untriedRelease_isRefusedOnBothSides() throws InterruptedException {
    NixlTransport owner = transport("owner");
    AgentHandle old = stranger();
    Envelope.Identity identity = new Envelope.Identity("old", old.name(), "1.0.0");
    byte[] description =
        new Envelope(identity, List.of(), old.metadata()).seal(NixlTransportTest.SECRET);

    assertThatThrownBy(() -> owner.connect(description, LONG).join())
        .hasCauseInstanceOf(TransferException.class)
        .hasMessageContaining("1.0.0");
    EngineDescription engine =
        new EngineDescription(old.name(), old.metadata(), MemoryKind.DRAM, 0, List.of(), "1.0.0");
    assertThatThrownBy(() -> owner.connectEngine(engine, LONG).join())
        .hasCauseInstanceOf(TransferException.class)
        .hasMessageContaining("1.0.0");

    // As a reader it says hello, and is not let in either.
    MemorySegment name = Link.cString(old.load(owner.engineMetadata()));
    byte[] hello =
        Frame.seal(
            new Frame.Numbered(1, new Frame.Hello(Frame.Body.of(description))),
            old.name(),
            owner.agentName(),
            NixlTransportTest.SECRET);
    assertThat(old.send(name, hello)).isZero();
    long end = System.nanoTime() + LONG.toNanos();
    while (owner.statistics().refusedNotifications() == 0) {
      assertThat(System.nanoTime()).isLessThan(end);
      Thread.sleep(2);
    }
    assertThat(owner.statistics().readers()).isZero();
  }

  @Test
  @DisplayName(
      "kills the caller: one piece of memory twice in a deregister list | one list for each")
  void registration_closedByManyAtOnce_isTakenBackOnce() {
    NixlTransport transport = transport("any");
    for (int round = 0; round < 20; round++) {
      Registration registration = transport.register(arena.allocate(4096));
      Stream.generate(() -> CompletableFuture.runAsync(registration::close))
          .limit(8)
          .toList()
          .forEach(CompletableFuture::join);
    }
    assertThat(transport.statistics().registrations()).isZero();
  }

  @Test
  @DisplayName("kills the caller: an index past the end of the notifications | never asked for")
  void notifications_ofManySenders_areAllTakenAndNoMore() {
    AgentHandle receiver = stranger();
    byte[] contact = receiver.contact();
    int senders = 4;
    int each = 10;
    for (int i = 0; i < senders; i++) {
      AgentHandle sender = stranger();
      MemorySegment name = Link.cString(sender.load(contact));
      for (int n = 0; n < each; n++) {
        assertThat(sender.send(name, ("n" + n).getBytes(UTF_8))).isZero();
      }
    }
    List<RawNotification> received = new ArrayList<>();
    long end = System.nanoTime() + LONG.toNanos();
    while (received.size() < senders * each && System.nanoTime() < end) {
      received.addAll(receiver.receive(1024, () -> {}));
    }

    assertThat(received).hasSize(senders * each);
    assertThat(receiver.receive(1024, () -> {})).isEmpty();
  }

  @Test
  @DisplayName("kills the caller: functions that only do harm, or nothing | are not bound")
  void functionsThatDoHarm_areNotBound() {
    List<String> bound =
        Stream.of(AgentFunctions.class, TransferFunctions.class)
            .flatMap(functions -> Arrays.stream(functions.getDeclaredFields()))
            .filter(field -> field.getType() == MethodHandle.class)
            .map(field -> field.getName().toLowerCase(java.util.Locale.ROOT))
            .toList();

    assertThat(bound)
        .contains("create_configured_agent", "load_remote_md", "create_xfer_req")
        // Spins; crashes with a dead agent, and lies; crashes with NULL; listen to anybody.
        .doesNotContain("create_agent", "check_remote_md", "prep_xfer_dlist", "make_xfer_req")
        .noneMatch(name -> name.startsWith("send_local") || name.startsWith("fetch_remote"))
        .noneMatch(name -> name.endsWith("_resize") || name.endsWith("_print"));
  }

  @Test
  @DisplayName("kills the JVM: UCX_HANDLE_ERRORS=bt and a null check; eats SIGHUP | forced off")
  void signals_whateverTheEnvironmentSays_stayTheJvms() throws Exception {
    ProcessBuilder builder =
        new ProcessBuilder(
                // A build under nohup ignores hang-ups, and so would this.
                "env",
                "--default-signal=HUP",
                System.getProperty("java.home") + "/bin/java",
                "--enable-native-access=ALL-UNNAMED",
                "-XX:+UseSerialGC",
                "-XX:-CreateCoredumpOnCrash",
                "-cp",
                System.getProperty("java.class.path"),
                NullChecks.class.getName())
            .redirectError(ProcessBuilder.Redirect.DISCARD);
    builder.environment().put("UCX_HANDLE_ERRORS", "bt,freeze");
    builder.environment().put("UCX_DEBUG_SIGNO", "SIGHUP");
    Process process = builder.start();
    try (var lines = process.inputReader()) {
      assertThat(lines.readLine()).isEqualTo("WELL");

      Signals.hangUp(process);

      assertThat(process.waitFor()).isEqualTo(128 + 1);
    } finally {
      Signals.kill(process);
    }
  }

  /** A JVM that has NIXL and meets null. */
  static final class NullChecks {
    private NullChecks() {}

    public static void main(String[] arguments) throws InterruptedException {
      try (NixlTransport transport =
          NixlTransportTest.open("null-checks", NixlTransportTest.SECRET)) {
        assertThat(transport.describe()).isNotEmpty();
        int caught = 0;
        // Often enough that the check becomes a read of address 0 that the JVM catches.
        for (int i = 0; i < 200_000; i++) {
          caught += lengthOrMinusOne(i % 1000 == 0 ? null : "text") < 0 ? 1 : 0;
        }
        System.out.println(caught == 200 ? "WELL" : "caught " + caught);
        System.out.flush();
        Thread.sleep(LONG.toMillis());
      }
    }

    @SuppressWarnings({"NullAway", "CatchNPE"})
    private static int lengthOrMinusOne(@org.jspecify.annotations.Nullable String text) {
      try {
        return text.length();
      } catch (NullPointerException e) {
        return -1;
      }
    }
  }

  // What hangs

  @Test
  @DisplayName(
      "hangs: a read from a stopped process | ends by its deadline, and goes on afterwards")
  void readOfAStoppedProcess_endsByItsDeadline() throws IOException {
    NixlTransport reader = transport("reader");
    RemoteOwner owner = owner();
    Peer peer = reader.connect(owner.description(), LONG).join();
    MemorySegment target = Pattern.blank(arena, 8 * MIB);
    reader.register(target);
    owner.freeze();

    for (int i = 0; i < 2; i++) {
      ReadOutcome outcome =
          peer.read(
                  RunList.inOrder(64, 65536, at(owner), target.asSlice(i * (4 * MIB), 4 * MIB)),
                  Optional.empty(),
                  Duration.ofMillis(500))
              .orTimeout(20, java.util.concurrent.TimeUnit.SECONDS)
              .join();
      // Shared memory can be read without its owner.
      if (outcome instanceof ReadOutcome.Failed failed) {
        assertThat(failed.cause()).isEqualTo(Cause.DEADLINE);
      }
    }

    owner.thaw();
    assertReadable(reader, peer, owner);
  }

  @Test
  @DisplayName("spins: the progress thread | an idle agent leaves the CPU alone")
  void idleAgent_needsNoCore() throws InterruptedException {
    NixlTransport idle = transport("idle");
    assertThat(idle.describe()).isNotEmpty();
    Duration before = cpu();
    long start = System.nanoTime();
    Thread.sleep(2000);
    Duration wall = Duration.ofNanos(System.nanoTime() - start);

    // A spinning thread takes all of it, however busy the machine is.
    assertThat(cpu().minus(before)).isLessThan(wall.dividedBy(4));
  }

  private static Duration cpu() {
    return ProcessHandle.current().info().totalCpuDuration().orElseThrow();
  }

  // What looks fine but is not

  @Test
  @DisplayName("lies: check_remote_md after a disconnect | not asked: a failed read is the answer")
  void killedOwner_isKnownByTheFirstFailure() throws IOException {
    NixlTransport reader = transport("reader");
    RemoteOwner owner = owner();
    Peer peer = reader.connect(owner.description(), LONG).join();
    assertReadable(reader, peer, owner);
    MemorySegment target = Pattern.blank(arena, 4 * MIB);
    reader.register(target);

    owner.kill();

    RunList all = RunList.scattered(1024, 4096, at(owner), target, 1);
    assertFailed(read(peer, all), Cause.PEER_LOST);
    assertFailed(read(peer, all), Cause.PEER_LOST);
    assertThatThrownBy(() -> reader.connect(owner.description(), Duration.ofSeconds(5)).join())
        .hasCauseInstanceOf(TransferException.class);
  }

  @Test
  @DisplayName("lies: reads of deregistered memory succeed | out of bounds here")
  void deregisteredMemory_cannotBeRead() {
    NixlTransport owner = transport("owner");
    NixlTransport reader = transport("reader");
    MemorySegment memory = Pattern.memory(arena, MIB, 1);
    MemorySegment target = Pattern.blank(arena, MIB);
    Registration registration = owner.register(memory);
    reader.register(target);
    Peer peer = reader.connect(owner.describe(), LONG).join();

    registration.close();

    assertFailed(read(peer, RunList.inOrder(16, 65536, memory, target)), Cause.OUT_OF_BOUNDS);
    assertThat(target.mismatch(Pattern.blank(arena, MIB))).isEqualTo(-1);
  }

  @Test
  @DisplayName("lies: register_mem takes memory that is not there, or twice | refused")
  void memoryThatIsNotThereOrTwice_isNotRegistered() {
    NixlTransport transport = transport("any");
    MemorySegment memory = arena.allocate(4096);
    transport.register(memory);

    for (MemorySegment each :
        List.of(
            MemorySegment.NULL,
            MemorySegment.ofAddress(4096).reinterpret(4096),
            memory.reinterpret(1L << 60),
            memory.asSlice(0, 0),
            memory,
            memory.asSlice(100, 100))) {
      assertThatThrownBy(() -> transport.register(each))
          .isInstanceOf(IllegalArgumentException.class);
    }
    assertThat(transport.statistics().registrations()).isEqualTo(1);
  }

  @Test
  @DisplayName("lies: a blob under another name loads as another peer | the names must agree")
  void metadataUnderAnotherName_isRefused() {
    NixlTransport reader = transport("reader");
    NixlTransport owner = transport("owner");
    owner.register(arena.allocate(4096));
    String version = NixlInstalled.Library.present().version();
    byte[] renamed =
        new Envelope(
                new Envelope.Identity("owner", "somebody-else", version),
                List.of(),
                owner.engineMetadata())
            .seal(NixlTransportTest.SECRET);
    EngineDescription engine =
        new EngineDescription(
            "somebody-else", owner.engineMetadata(), MemoryKind.DRAM, 0, List.of(), version);

    assertThatThrownBy(() -> reader.connect(renamed, LONG).join())
        .hasCauseInstanceOf(TransferException.class)
        .hasMessageContaining("another agent");
    assertThatThrownBy(() -> reader.connectEngine(engine, LONG).join())
        .hasCauseInstanceOf(TransferException.class)
        .hasMessageContaining("another agent");
    assertThat(reader.connect(owner.describe(), LONG).join().name()).isEqualTo("owner");
  }

  @Test
  @DisplayName("lies: a longer length in the blob reads past the registration | out of bounds here")
  void readPastTheRegistration_isRefusedThoughThereIsMemory() throws IOException {
    NixlTransport reader = transport("reader");
    RemoteOwner owner = owner();
    Peer peer = reader.connect(owner.description(), LONG).join();
    MemorySegment target = Pattern.blank(arena, MIB);
    reader.register(target);

    // The owner's heap goes on behind its registered memory.
    RunList past = new RunList().add(owner.address() + 4 * MIB - 4096, target.address(), 8192);

    assertFailed(read(peer, past), Cause.OUT_OF_BOUNDS);
    assertReadable(reader, peer, owner);
  }
}
