package dev.millrace.transfer;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.layout.RunCursor;
import dev.millrace.layout.Runs;
import dev.millrace.transfer.ReadOutcome.Cause;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What every {@link BlockTransport} must do. A transport's test extends this and says how to start
 * one.
 *
 * <p>Faults happen at a known point of a read because it is the walk over its runs that causes
 * them.
 */
@Timeout(60)
public abstract class BlockTransportContract {
  /**
   * Long enough for anything that should succeed, on a machine that is busy with something else.
   */
  protected static final Duration LONG = Duration.ofSeconds(30);

  private static final long MIB = 1 << 20;

  private final List<BlockTransport> started = new ArrayList<>();
  protected Arena arena = Arena.ofShared();

  /** A transport that all others of the same test class can connect to. */
  protected abstract BlockTransport start(String name);

  /** A transport that must not be let in. */
  protected abstract BlockTransport startStranger(String name);

  /** A class whose main calls {@link RemoteOwner#serve} with a transport like {@link #start}'s. */
  protected abstract Class<?> owner();

  /** Fails unless the transport, which is closed, holds nothing any more. */
  protected abstract void assertHoldsNothing(BlockTransport transport);

  /** Whether it is a thread of a transport of this kind. */
  protected abstract boolean isOwnThread(Thread thread);

  @BeforeEach
  void openArena() {
    arena = Arena.ofShared();
  }

  @AfterEach
  void nothingIsLeft() throws InterruptedException {
    started.forEach(BlockTransport::close);
    started.forEach(this::assertHoldsNothing);
    // Memory that is still in use cannot be freed: this fails then.
    arena.close();
    long deadlineNanos = System.nanoTime() + LONG.toNanos();
    while (Thread.getAllStackTraces().keySet().stream().anyMatch(this::isOwnThread)
        && System.nanoTime() < deadlineNanos) {
      Thread.sleep(5);
    }
    assertThat(Thread.getAllStackTraces().keySet()).noneMatch(this::isOwnThread);
  }

  protected final BlockTransport started(String name) {
    BlockTransport transport = start(name);
    started.add(transport);
    return transport;
  }

  protected static Peer connect(BlockTransport from, BlockTransport to) {
    return from.connect(to.describe(), LONG).join();
  }

  protected static ReadOutcome read(Peer peer, Runs runs) {
    return peer.read(runs, Optional.empty(), LONG).join();
  }

  /** A reader and an owner with their memory. */
  protected final class Pair {
    public final BlockTransport owner = started("owner");
    public final BlockTransport reader = started("reader");
    public final MemorySegment source;
    public final MemorySegment target;
    public final Registration sourceRegistration;
    public final Registration targetRegistration;
    public final Peer peer;
    public final List<String> notified = new CopyOnWriteArrayList<>();

    public Pair(long sourceBytes, long targetBytes) {
      source = Pattern.memory(arena, sourceBytes, 1);
      target = Pattern.blank(arena, targetBytes);
      sourceRegistration = owner.register(source);
      targetRegistration = reader.register(target);
      owner.onNotification(
          (from, payload) -> notified.add(from + ">" + new String(payload, UTF_8)));
      peer = connect(reader, owner);
    }

    public Pair(long bytes) {
      this(bytes, bytes);
    }

    /** Reads, and checks every byte of the destination, also those between the runs. */
    public ReadOutcome readAndCompare(RunList runs) {
      MemorySegment image = Pattern.blank(arena, target.byteSize()).copyFrom(target);
      runs.copy(source, target, image);
      ReadOutcome outcome = BlockTransportContract.read(peer, runs);
      assertThat(target.mismatch(image)).as("first wrong byte").isEqualTo(-1);
      return outcome;
    }
  }

  private static void assertDone(ReadOutcome outcome, RunList runs) {
    assertThat(outcome)
        .isInstanceOfSatisfying(
            ReadOutcome.Done.class,
            done -> {
              assertThat(done.bytes()).isEqualTo(runs.bytes());
              assertThat(done.runs()).isEqualTo(runs.count());
            });
  }

  protected static ReadOutcome.Failed assertFailed(ReadOutcome outcome, Cause cause) {
    assertThat(outcome).isInstanceOf(ReadOutcome.Failed.class);
    ReadOutcome.Failed failed = (ReadOutcome.Failed) outcome;
    assertThat(failed.cause()).as(failed.reason()).isEqualTo(cause);
    return failed;
  }

  // Reading

  @ParameterizedTest
  @CsvSource({
    "1, 1",
    "1, 64",
    "3, 16777216",
    "7, 1000003",
    "100, 65536",
    "1023, 257",
    "1024, 4096",
    "1025, 64",
    "10000, 64",
    "10000, 4096"
  })
  void read_scattered_everyByteArrivesInItsPlace(int count, int bytes) {
    Pair pair = new Pair((long) count * (bytes + 8), (long) count * (bytes + 24));
    RunList runs = RunList.scattered(count, bytes, pair.source, pair.target, 42);

    ReadOutcome outcome = pair.readAndCompare(runs);

    assertDone(outcome, runs);
  }

  @ParameterizedTest
  @CsvSource({"1, 134217728", "8, 16777216", "1000, 65536"})
  void read_inOrder_everyByteArrives(int count, int bytes) {
    Pair pair = new Pair((long) count * bytes);
    RunList runs = RunList.inOrder(count, bytes, pair.source, pair.target);

    assertDone(pair.readAndCompare(runs), runs);
  }

  @Test
  void read_runsOfMixedLengths_everyByteArrives() {
    Pair pair = new Pair(16 * MIB);
    RunList runs = new RunList();
    long at = 0;
    for (int i = 1; at + i * 37L < 16 * MIB; i++) {
      runs.add(pair.source.address() + at, pair.target.address() + at, i * 37L);
      at += i * 37L;
    }

    assertDone(pair.readAndCompare(runs), runs);
  }

  @Test
  void read_twiceOverTheSamePeer_works() {
    Pair pair = new Pair(MIB);
    for (int round = 0; round < 3; round++) {
      RunList runs = RunList.scattered(16, 4096, pair.source, pair.target, round);
      assertDone(pair.readAndCompare(runs), runs);
    }
  }

  @Test
  void read_fromSeveralRegistrations_findsEach() {
    Pair pair = new Pair(MIB);
    MemorySegment second = Pattern.memory(arena, MIB, 99);
    pair.owner.register(second);
    RunList runs =
        new RunList()
            .add(pair.source.address() + 10, pair.target.address(), 100)
            .add(second.address() + 20, pair.target.address() + 100, 200);

    assertDone(read(pair.peer, runs), runs);

    assertThat(pair.target.asSlice(0, 100).mismatch(pair.source.asSlice(10, 100))).isEqualTo(-1);
    assertThat(pair.target.asSlice(100, 200).mismatch(second.asSlice(20, 200))).isEqualTo(-1);
  }

  @Test
  void read_noRuns_isDone() {
    Pair pair = new Pair(64);

    assertDone(read(pair.peer, new RunList()), new RunList());
  }

  @Test
  void read_manyAtOnce_allArrive() {
    int readers = 12;
    Pair pair = new Pair(readers * (4 * MIB));
    MemorySegment image = Pattern.blank(arena, pair.target.byteSize());
    List<CompletableFuture<ReadOutcome>> reads = new ArrayList<>();
    List<RunList> all = new ArrayList<>();
    for (int i = 0; i < readers; i++) {
      MemorySegment to = pair.target.asSlice(i * (4 * MIB), 4 * MIB);
      RunList runs = RunList.scattered(500, 8000, pair.source, to, i);
      runs.copy(pair.source, pair.target, image);
      all.add(runs);
      reads.add(pair.peer.read(runs, Optional.empty(), LONG));
    }

    for (int i = 0; i < readers; i++) {
      assertDone(reads.get(i).join(), all.get(i));
    }
    assertThat(pair.target.mismatch(image)).isEqualTo(-1);
  }

  @Test
  void read_whileAnotherReadWaits_goesOn() throws InterruptedException {
    Pair pair = new Pair(MIB);
    CountDownLatch held = new CountDownLatch(1);
    CountDownLatch goOn = new CountDownLatch(1);
    RunList slow =
        RunList.inOrder(10, 64, pair.source, pair.target)
            .when(
                5,
                () -> {
                  held.countDown();
                  await(goOn);
                });
    CompletableFuture<ReadOutcome> waiting = pair.peer.read(slow, Optional.empty(), LONG);
    await(held);

    RunList quick = RunList.inOrder(10, 64, pair.source, pair.target);
    assertDone(read(pair.peer, quick), quick);

    assertThat(waiting).isNotDone();
    goOn.countDown();
    assertDone(waiting.join(), slow);
  }

  private static void await(CountDownLatch latch) {
    try {
      if (!latch.await(LONG.toSeconds(), TimeUnit.SECONDS)) {
        throw new AssertionError("nobody came");
      }
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void read_bothDirectionsAtOnce_bothArrive() {
    BlockTransport left = started("left");
    BlockTransport right = started("right");
    MemorySegment leftSource = Pattern.memory(arena, 32 * MIB, 1);
    MemorySegment rightSource = Pattern.memory(arena, 32 * MIB, 2);
    MemorySegment leftTarget = Pattern.blank(arena, 32 * MIB);
    MemorySegment rightTarget = Pattern.blank(arena, 32 * MIB);
    left.register(leftSource);
    left.register(leftTarget);
    right.register(rightSource);
    right.register(rightTarget);
    RunList toLeft = RunList.inOrder(512, 65536, rightSource, leftTarget);
    RunList toRight = RunList.inOrder(512, 65536, leftSource, rightTarget);

    var one = connect(left, right).read(toLeft, Optional.empty(), LONG);
    var other = connect(right, left).read(toRight, Optional.empty(), LONG);

    assertDone(one.join(), toLeft);
    assertDone(other.join(), toRight);
    assertThat(leftTarget.mismatch(rightSource)).isEqualTo(-1);
    assertThat(rightTarget.mismatch(leftSource)).isEqualTo(-1);
  }

  // Bounds

  @ParameterizedTest
  @ValueSource(longs = {-1, 0, MIB - 63, MIB, -4096, Long.MIN_VALUE})
  void read_sourceOutOfBounds_failsAndNamesTheAddress(long offset) {
    Pair pair = new Pair(MIB);
    long address = pair.source.address() + offset;
    long bytes = offset == 0 ? MIB + 1 : 64;
    MemorySegment roomy = Pattern.blank(arena, 2 * MIB);
    pair.reader.register(roomy);

    ReadOutcome outcome = read(pair.peer, new RunList().add(address, roomy.address(), bytes));

    assertThat(assertFailed(outcome, Cause.OUT_OF_BOUNDS).reason())
        .contains(Long.toHexString(address))
        .contains("owner");
  }

  @ParameterizedTest
  @ValueSource(longs = {-1, MIB - 63, MIB, Long.MIN_VALUE})
  void read_targetOutOfBounds_failsWithoutAsking(long offset) {
    Pair pair = new Pair(MIB);
    long address = pair.target.address() + offset;

    ReadOutcome outcome = read(pair.peer, new RunList().add(pair.source.address(), address, 64));

    assertThat(assertFailed(outcome, Cause.OUT_OF_BOUNDS).reason())
        .contains(Long.toHexString(address));
  }

  @ParameterizedTest
  @ValueSource(longs = {0, -1, Long.MIN_VALUE, Long.MAX_VALUE})
  void read_lengthThatWraps_failsWithoutTouchingMemory(long bytes) {
    Pair pair = new Pair(MIB);

    ReadOutcome outcome =
        read(
            pair.peer,
            new RunList().add(pair.source.address() + 64, pair.target.address() + 64, bytes));

    assertFailed(outcome, Cause.OUT_OF_BOUNDS);
    assertThat(pair.target.mismatch(Pattern.blank(arena, MIB))).isEqualTo(-1);
  }

  @Test
  void read_afterOneOutOfBounds_worksOverTheSamePeer() {
    Pair pair = new Pair(MIB);
    assertFailed(
        read(pair.peer, new RunList().add(16, pair.target.address(), 64)), Cause.OUT_OF_BOUNDS);

    RunList runs = RunList.scattered(16, 4096, pair.source, pair.target, 3);

    assertDone(pair.readAndCompare(runs), runs);
  }

  @Test
  void read_lastByteOfMemory_works() {
    Pair pair = new Pair(4097);
    RunList runs = new RunList().add(pair.source.address() + 4096, pair.target.address() + 4096, 1);

    assertDone(pair.readAndCompare(runs), runs);
  }

  // Registrations

  @Test
  void register_overlapping_isRefused() {
    Pair pair = new Pair(MIB);

    assertThatThrownBy(() -> pair.owner.register(pair.source.asSlice(MIB / 2)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("overlaps");
  }

  @Test
  void register_memoryThatIsNotThere_isRefused() {
    BlockTransport transport = started("any");
    Arena gone = Arena.ofShared();
    MemorySegment freed = gone.allocate(64);
    gone.close();
    MemorySegment lowAddress = MemorySegment.ofAddress(4096).reinterpret(64);
    MemorySegment tooLong = arena.allocate(64).reinterpret(1L << 60);

    for (MemorySegment each : List.of(freed, lowAddress, tooLong)) {
      assertThatThrownBy(() -> transport.register(each))
          .isInstanceOf(IllegalArgumentException.class);
    }
  }

  @Test
  void closeOfRegistration_byManyAtOnce_isDoneOnce() {
    Pair pair = new Pair(MIB);
    List<CompletableFuture<Void>> closings = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      closings.add(CompletableFuture.runAsync(pair.sourceRegistration::close));
      closings.add(CompletableFuture.runAsync(pair.targetRegistration::close));
    }

    closings.forEach(CompletableFuture::join);

    pair.owner.register(pair.source);
    pair.reader.register(pair.target);
    RunList runs = RunList.inOrder(16, 64, pair.source, pair.target);
    assertDone(pair.readAndCompare(runs), runs);
  }

  @Test
  void register_heapMemory_isRefused() {
    BlockTransport transport = started("any");

    assertThatThrownBy(() -> transport.register(MemorySegment.ofArray(new byte[64])))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void register_afterClosingARegistration_worksAgain() {
    Pair pair = new Pair(MIB);
    pair.sourceRegistration.close();
    pair.sourceRegistration.close();
    assertFailed(
        read(pair.peer, RunList.inOrder(1, 64, pair.source, pair.target)), Cause.OUT_OF_BOUNDS);

    pair.owner.register(pair.source);

    RunList runs = RunList.inOrder(1, 64, pair.source, pair.target);
    assertDone(pair.readAndCompare(runs), runs);
  }

  @Test
  void closeOfSource_duringReads_waitsAndLaterReadsFail() {
    assertClosingEndsReads(pair -> pair.sourceRegistration, pair -> pair.source);
  }

  @Test
  void closeOfTarget_duringReads_waitsAndLaterReadsFail() {
    assertClosingEndsReads(pair -> pair.targetRegistration, pair -> pair.target);
  }

  private void assertClosingEndsReads(
      java.util.function.Function<Pair, Registration> which,
      java.util.function.Function<Pair, MemorySegment> memory) {
    Pair pair = new Pair(4 * MIB);
    CountDownLatch moving = new CountDownLatch(1);
    Endless endless = new Endless(pair, moving);
    List<CompletableFuture<ReadOutcome>> reads = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      reads.add(pair.peer.read(endless, Optional.empty(), LONG));
    }
    await(moving);

    which.apply(pair).close();
    MemorySegment after = Pattern.blank(arena, 4 * MIB).copyFrom(memory.apply(pair));

    for (CompletableFuture<ReadOutcome> each : reads) {
      assertFailed(each.join(), Cause.OUT_OF_BOUNDS);
    }
    assertThat(memory.apply(pair).mismatch(after)).as("written after close").isEqualTo(-1);
  }

  /** Reads the same 64 KiB again and again. */
  private static final class Endless implements Runs {
    private final Pair pair;
    private final CountDownLatch moving;

    Endless(Pair pair, CountDownLatch moving) {
      this.pair = pair;
      this.moving = moving;
    }

    @Override
    public RunCursor cursor() {
      return new RunCursor() {
        private int count;

        @Override
        public boolean next() {
          if (++count == 1000) {
            moving.countDown();
          }
          return true;
        }

        @Override
        public long sourceAddress() {
          return pair.source.address();
        }

        @Override
        public long targetAddress() {
          return pair.target.address();
        }

        @Override
        public long bytes() {
          return 65536;
        }
      };
    }
  }

  // Notifications

  @Test
  void notify_many_arriveInOrder() {
    Pair pair = new Pair(64);
    List<CompletableFuture<Void>> sent = new ArrayList<>();
    List<String> expected = new ArrayList<>();
    for (int i = 0; i < 200; i++) {
      expected.add("reader>n" + i);
      sent.add(pair.peer.notify(("n" + i).getBytes(UTF_8), LONG));
    }
    sent.forEach(CompletableFuture::join);

    assertThat(pair.notified).isEqualTo(expected);
  }

  @Test
  void notify_anyBytes_arriveAsTheyAre() {
    Pair pair = new Pair(64);
    byte[] payload = new byte[64 << 10];
    for (int i = 0; i < payload.length; i++) {
      payload[i] = (byte) (i * 7);
    }
    AtomicReference<byte[]> taken = new AtomicReference<>(new byte[0]);
    pair.owner.onNotification((from, bytes) -> taken.set(bytes));

    pair.peer.notify(payload, LONG).join();
    assertThat(taken.get()).isEqualTo(payload);

    pair.peer.notify(new byte[0], LONG).join();
    assertThat(taken.get()).isEmpty();
  }

  @Test
  void notify_tooLong_isRefused() {
    Pair pair = new Pair(64);

    assertThatThrownBy(() -> pair.peer.notify(new byte[(64 << 10) + 1], LONG))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void notify_nobodyListens_fails() {
    BlockTransport owner = started("deaf");
    Peer peer = connect(started("reader"), owner);

    assertThatThrownBy(() -> peer.notify(new byte[1], LONG).join())
        .hasCauseInstanceOf(TransferException.class)
        .hasMessageContaining("takes no notifications");
  }

  @Test
  void notify_handlerThrows_isDeliveredAndTheNextToo() {
    Pair pair = new Pair(64);
    List<Integer> taken = new CopyOnWriteArrayList<>();
    pair.owner.onNotification((from, bytes) -> {
      taken.add((int) bytes[0]);
      throw new IllegalStateException("this stack trace belongs to a test");
    });

    pair.peer.notify(new byte[] {1}, LONG).join();
    pair.peer.notify(new byte[] {2}, LONG).join();

    assertThat(taken).containsExactly(1, 2);
  }

  @Test
  void readWithNotification_allBytesAreThereBefore() {
    Pair pair = new Pair(8 * MIB);
    AtomicBoolean complete = new AtomicBoolean();
    pair.owner.onNotification(
        (from, bytes) -> complete.set(pair.target.mismatch(pair.source) == -1));

    ReadOutcome outcome =
        pair.peer
            .read(
                RunList.inOrder(128, 65536, pair.source, pair.target),
                Optional.of("read:1".getBytes(UTF_8)),
                LONG)
            .join();

    assertThat(outcome).isInstanceOf(ReadOutcome.Done.class);
    assertThat(complete).isTrue();
  }

  @Test
  void readWithNotification_noRuns_onlyNotifies() {
    Pair pair = new Pair(64);

    ReadOutcome outcome =
        pair.peer.read(new RunList(), Optional.of("hit:1".getBytes(UTF_8)), LONG).join();

    assertDone(outcome, new RunList());
    assertThat(pair.notified).containsExactly("reader>hit:1");
  }

  @Test
  void readWithNotification_thatFails_doesNotNotify() {
    Pair pair = new Pair(64);

    ReadOutcome outcome =
        pair.peer
            .read(
                new RunList().add(1, pair.target.address(), 64),
                Optional.of("never".getBytes(UTF_8)),
                LONG)
            .join();

    assertFailed(outcome, Cause.OUT_OF_BOUNDS);
    pair.peer.notify("later".getBytes(UTF_8), LONG).join();
    assertThat(pair.notified).containsExactly("reader>later");
  }

  // Connecting

  @Test
  void connect_givesThePeersName() {
    assertThat(new Pair(64).peer.name()).isEqualTo("owner");
  }

  @Test
  void connect_stranger_isTurnedAway() {
    BlockTransport owner = started("owner");
    BlockTransport stranger = startStranger("stranger");
    started.add(stranger);

    assertThatThrownBy(() -> stranger.connect(owner.describe(), LONG).join())
        .isInstanceOf(CompletionException.class)
        .hasCauseInstanceOf(TransferException.class)
        .hasMessageContaining("owner")
        .hasMessageContaining("secret");
  }

  @Test
  void connect_toNobody_failsSoon() {
    BlockTransport gone = start("gone");
    byte[] description = gone.describe();
    gone.close();
    BlockTransport reader = started("reader");

    assertThatThrownBy(() -> reader.connect(description, LONG).join())
        .hasCauseInstanceOf(TransferException.class)
        .hasMessageContaining("gone");
  }

  @Test
  void connect_toADescriptionOfSomethingElse_saysSo() {
    BlockTransport reader = started("reader");

    for (byte[] description :
        List.of(new byte[0], new byte[100], "nixlSerDes|Agent".getBytes(UTF_8))) {
      assertThatThrownBy(() -> reader.connect(description, LONG).join())
          .hasCauseInstanceOf(TransferException.class)
          .hasMessageContaining("description");
    }
  }

  // Ends

  @Test
  void closeOfOwner_duringARead_failsIt() {
    Pair pair = new Pair(16 * MIB);
    CountDownLatch moving = new CountDownLatch(1);
    var endless = pair.peer.read(new Endless(pair, moving), Optional.empty(), LONG);
    await(moving);

    pair.owner.close();

    ReadOutcome.Failed failed = assertFailed(endless.join(), Cause.PEER_LOST);
    assertThat(failed.bytes()).isPositive();
    RunList runs = RunList.inOrder(1, 64, pair.source, pair.target);
    assertFailed(read(pair.peer, runs), Cause.PEER_LOST);
  }

  @Test
  void closeOfPeer_duringReads_failsThemAll() {
    Pair pair = new Pair(4 * MIB);
    CountDownLatch moving = new CountDownLatch(1);
    List<CompletableFuture<ReadOutcome>> reads = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      reads.add(pair.peer.read(new Endless(pair, moving), Optional.empty(), LONG));
    }
    await(moving);

    pair.peer.close();
    pair.peer.close();

    reads.forEach(each -> assertFailed(each.join(), Cause.CLOSED));
    assertFailed(read(pair.peer, new Endless(pair, moving)), Cause.CLOSED);
    assertThatThrownBy(() -> pair.peer.notify(new byte[1], LONG).join())
        .hasCauseInstanceOf(TransferException.class);
  }

  @Test
  void closeOfReader_duringReads_failsThemAll() {
    Pair pair = new Pair(4 * MIB);
    CountDownLatch moving = new CountDownLatch(1);
    var endless = pair.peer.read(new Endless(pair, moving), Optional.empty(), LONG);
    await(moving);

    pair.reader.close();
    pair.reader.close();

    assertFailed(endless.join(), Cause.CLOSED);
    assertThatThrownBy(() -> pair.reader.register(Pattern.blank(arena, 64)))
        .isInstanceOf(TransferException.class);
    assertThatThrownBy(() -> pair.reader.connect(pair.owner.describe(), LONG).join())
        .hasCauseInstanceOf(TransferException.class);
  }

  @Test
  void ownerKilled_duringARead_failsItAtOnce() throws IOException {
    BlockTransport reader = started("reader");
    MemorySegment target = Pattern.blank(arena, 32 * MIB);
    reader.register(target);
    try (RemoteOwner owner = RemoteOwner.launch(owner(), 32 * MIB, 5)) {
      Peer peer = reader.connect(owner.description(), LONG).join();
      MemorySegment source = MemorySegment.ofAddress(owner.address()).reinterpret(32 * MIB);
      RunList whole = RunList.inOrder(512, 65536, source, target);
      assertDone(read(peer, whole), whole);
      assertThat(target.mismatch(Pattern.memory(arena, 32 * MIB, 5))).isEqualTo(-1);

      long[] killedNanos = new long[1];
      RunList interrupted =
          RunList.inOrder(8192, 4096, source, target)
              .when(
                  5000,
                  () -> {
                    owner.kill();
                    killedNanos[0] = System.nanoTime();
                  });
      ReadOutcome outcome = read(peer, interrupted);
      long tookNanos = System.nanoTime() - killedNanos[0];

      assertFailed(outcome, Cause.PEER_LOST);
      // A second is what is promised; the rest is for machines that are busy with something else.
      assertThat(Duration.ofNanos(tookNanos)).isLessThan(Duration.ofSeconds(4));
    }
  }

  @Test
  void ownerFrozen_readEndsAtItsDeadlineAndNothingIsWrittenAfter() throws IOException {
    BlockTransport reader = started("reader");
    MemorySegment target = Pattern.blank(arena, 32 * MIB);
    reader.register(target);
    try (RemoteOwner owner = RemoteOwner.launch(owner(), 32 * MIB, 5)) {
      Peer peer = reader.connect(owner.description(), LONG).join();
      MemorySegment source = MemorySegment.ofAddress(owner.address()).reinterpret(32 * MIB);
      RunList runs = RunList.inOrder(8192, 4096, source, target).when(5000, owner::freeze);

      ReadOutcome outcome =
          peer.read(runs, Optional.of("never".getBytes(UTF_8)), Duration.ofSeconds(1)).join();
      MemorySegment then = Pattern.blank(arena, 32 * MIB).copyFrom(target);
      owner.thaw();

      assertFailed(outcome, Cause.DEADLINE);
      // The peer has recovered, and so does the connection to it.
      MemorySegment elsewhere = Pattern.blank(arena, 4096);
      reader.register(elsewhere);
      RunList again = RunList.inOrder(1, 4096, source, elsewhere);
      assertDone(read(peer, again), again);
      assertThat(target.mismatch(then)).as("written after the deadline").isEqualTo(-1);
    }
  }

  @Test
  void read_deadlineWhileItWaitsForOthers_endsAtIt() {
    Pair pair = new Pair(4 * MIB);
    CountDownLatch moving = new CountDownLatch(1);
    for (int i = 0; i < 64; i++) {
      var endless = pair.peer.read(new Endless(pair, moving), Optional.empty(), LONG);
      assertThat(endless).isNotDone();
    }

    RunList runs = RunList.inOrder(1, 64, pair.source, pair.target);
    ReadOutcome outcome = pair.peer.read(runs, Optional.empty(), Duration.ofMillis(50)).join();

    assertFailed(outcome, Cause.DEADLINE);
  }

  @Test
  void read_runsThatThrow_failsTheReadOnly() {
    assertFailsTheReadOnly(() -> {
      throw new IllegalStateException("no more runs");
    });
  }

  @Test
  void read_runsWithAnError_failsTheReadOnly() {
    assertFailsTheReadOnly(() -> {
      throw new AssertionError("no more runs");
    });
  }

  private void assertFailsTheReadOnly(Runnable fault) {
    Pair pair = new Pair(MIB);
    RunList broken = RunList.inOrder(10, 64, pair.source, pair.target).when(5, fault);
    // As many as there may be threads, so that none is left if each ended one.
    for (int i = 0; i < 8; i++) {
      ReadOutcome outcome = read(pair.peer, broken);

      assertThat(((ReadOutcome.Failed) outcome).reason()).contains("no more runs");
    }
    RunList runs = RunList.inOrder(10, 64, pair.source, pair.target);
    assertDone(pair.readAndCompare(runs), runs);
  }

  @Test
  void deadline_longerThanCanBeCounted_isAsGoodAsNone() {
    Duration forever = Duration.ofSeconds(Long.MAX_VALUE);
    BlockTransport owner = started("owner");
    BlockTransport reader = started("reader");
    owner.onNotification((_, _) -> {});
    Peer peer = reader.connect(owner.describe(), forever).join();

    peer.notify(new byte[1], forever).join();

    assertDone(peer.read(new RunList(), Optional.of(new byte[1]), forever).join(), new RunList());
  }

  @Test
  void notify_moreThanTheOtherEndConfirms_isRefusedAndForgotten() {
    Pair pair = new Pair(64);
    CountDownLatch goOn = new CountDownLatch(1);
    pair.owner.onNotification((_, _) -> await(goOn));
    List<CompletableFuture<Void>> sent = new ArrayList<>();
    for (int i = 0; i < 10_000; i++) {
      sent.add(pair.peer.notify(new byte[1], LONG));
    }

    assertThatThrownBy(() -> sent.getLast().join())
        .hasCauseInstanceOf(TransferException.class)
        .hasMessageContaining("too many");

    goOn.countDown();
    sent.getFirst().join();
  }

  @Test
  void memory_ofAClosedRegistration_canBeFreed() {
    Pair pair = new Pair(MIB);
    Arena own = Arena.ofShared();
    MemorySegment passing = Pattern.blank(own, MIB);
    Registration registration = pair.reader.register(passing);
    RunList runs = RunList.inOrder(16, 65536, pair.source, passing);
    assertDone(read(pair.peer, runs), runs);
    assertThat(passing.get(ValueLayout.JAVA_BYTE, 0))
        .isEqualTo(pair.source.get(ValueLayout.JAVA_BYTE, 0));

    registration.close();
    own.close();

    assertFailed(read(pair.peer, runs), Cause.OUT_OF_BOUNDS);
  }
}
