package dev.millrace.transfer.nixl;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.transfer.Pattern;
import dev.millrace.transfer.Peer;
import dev.millrace.transfer.ReadOutcome;
import dev.millrace.transfer.Registration;
import dev.millrace.transfer.RemoteOwner;
import dev.millrace.transfer.RunList;
import dev.millrace.transfer.Signals;
import dev.millrace.transfer.TransferException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Test;

/**
 * What happens where NIXL cannot keep the contract: reads that cannot be cancelled, and memory that
 * cannot be taken back from who hangs.
 */
@NixlInstalled
class TcpFaults {
  private static final long MIB = 1 << 20;
  private static final Duration LONG = Duration.ofSeconds(30);
  private static final Duration CLOSING = Duration.ofMillis(300);

  private static NixlTransport open(String name) {
    return NixlTransport.open(
        NixlInstalled.Library.present(),
        NixlTransportOptions.named(name, NixlTransportTest.SECRET)
            .with(NixlLimits.DEFAULT.withClosing(CLOSING)));
  }

  private static void await(String what, BooleanSupplier condition) throws InterruptedException {
    long end = System.nanoTime() + LONG.toNanos();
    while (!condition.getAsBoolean()) {
      assertThat(System.nanoTime()).as(what).isLessThan(end);
      Thread.sleep(2);
    }
  }

  /** A read that was given up because its owner does not move, and what may become of it. */
  private static final class Abandoned implements AutoCloseable {
    final Arena arena = Arena.ofShared();
    final NixlTransport reader = open("reader");
    final MemorySegment target = Pattern.blank(arena, 32 * MIB);
    final Registration registration = reader.register(target);
    final RemoteOwner owner = RemoteOwner.launch(NixlOwner.class, 32 * MIB, 5);
    final Peer peer = reader.connect(owner.description(), LONG).join();
    final MemorySegment source = MemorySegment.ofAddress(owner.address()).reinterpret(32 * MIB);
    final ReadOutcome.Failed outcome;

    Abandoned() throws IOException {
      RunList runs = RunList.scattered(8192, 4096, source, target, 3).when(4000, owner::freeze);
      outcome =
          (ReadOutcome.Failed) peer.read(runs, Optional.empty(), Duration.ofMillis(400)).join();
      assertThat(outcome.cause()).as(outcome.reason()).isEqualTo(ReadOutcome.Cause.DEADLINE);
    }

    @Override
    public void close() {
      reader.close();
      owner.close();
      arena.close();
    }
  }

  @Test
  void abandonedRead_isQuarantinedUntilItsOwnerGoesOn() throws Exception {
    try (Abandoned read = new Abandoned()) {
      assertThat(read.outcome.reason()).contains("still with NIXL");
      assertThat(read.reader.mayStillBeWritten(read.target)).isTrue();
      assertThat(read.reader.statistics().quarantinedRequests()).isPositive();
      assertThatThrownBy(read.registration::close)
          .isInstanceOf(TransferException.class)
          .hasMessageContaining("must not be freed yet");

      read.owner.thaw();

      await("the quarantine ends", () -> !read.reader.mayStillBeWritten(read.target));
      MemorySegment then = Pattern.blank(read.arena, 32 * MIB).copyFrom(read.target);
      assertThat(read.reader.statistics().quarantinedBytes()).isZero();
      read.registration.close();
      MemorySegment elsewhere = Pattern.blank(read.arena, MIB);
      read.reader.register(elsewhere);
      RunList again = RunList.inOrder(16, 65536, read.source, elsewhere);
      assertThat(read.peer.read(again, Optional.empty(), LONG).join())
          .isInstanceOf(ReadOutcome.Done.class);
      assertThat(read.target.mismatch(then)).as("written after the quarantine").isEqualTo(-1);
    }
  }

  @Test
  void abandonedRead_isOverWhenItsOwnerDies() throws Exception {
    try (Abandoned read = new Abandoned()) {
      assertThat(read.reader.mayStillBeWritten(read.target)).isTrue();

      read.owner.kill();

      await("the quarantine ends", () -> !read.reader.mayStillBeWritten(read.target));
      read.registration.close();
    }
  }

  @Test
  void abandonedRead_isOverWhenTheTransportCloses() throws Exception {
    try (Abandoned read = new Abandoned()) {
      read.reader.close();

      assertThat(read.reader.mayStillBeWritten(read.target)).isFalse();
      MemorySegment then = Pattern.blank(read.arena, 32 * MIB).copyFrom(read.target);
      read.owner.thaw();
      // Nothing announces a write that must not happen: a second is plenty for one that would.
      long end = System.nanoTime() + Duration.ofSeconds(1).toNanos();
      while (System.nanoTime() < end && read.target.mismatch(then) == -1) {
        Thread.sleep(20);
      }
      assertThat(read.target.mismatch(then)).as("written after close").isEqualTo(-1);
    }
  }

  @Test
  void requestInFlight_cannotBeReleased() {
    try (Arena arena = Arena.ofShared();
        NixlHandleTest.Two two = NixlHandleTest.Two.open(arena, 64 * MIB)) {
      RequestHandle request = two.request();
      assertThat(request.post()).isEqualTo(NixlFailure.IN_PROGRESS);

      // NIXL would say yes, and the bytes would go on coming.
      assertThatThrownBy(request::release).isInstanceOf(IllegalStateException.class);

      while (request.status() == NixlFailure.IN_PROGRESS) {
        Thread.onSpinWait();
      }
      assertThat(request.status()).isZero();
      request.release();
    }
  }

  @Test
  void closeOfSource_whileAReaderHangs_isRefusedUntilItGoesOn() throws Exception {
    try (Arena arena = Arena.ofShared();
        NixlTransport owner = open("owner")) {
      MemorySegment memory = Pattern.memory(arena, 4 * MIB, 9);
      Registration registration = owner.register(memory);
      try (RemoteReader reader =
          RemoteReader.launch(owner.describe(), memory.address(), memory.byteSize())) {
        Signals.freeze(reader.process());
        assertThatThrownBy(registration::close)
            .isInstanceOf(TransferException.class)
            .hasMessageContaining("remote-reader");

        Signals.thaw(reader.process());

        assertThat(reader.line()).isEqualTo("OUT_OF_BOUNDS");
        await(
            "the memory is free",
            () -> {
              try {
                registration.close();
                return true;
              } catch (TransferException e) {
                return false;
              }
            });
      }
    }
  }

  @Test
  void closeOfOwner_whileAReaderHangs_leavesWhatItReadsAndSaysSo() throws Exception {
    // Stays in use until this process ends.
    MemorySegment memory = Pattern.memory(Arena.global(), 4 * MIB, 9);
    NixlTransport owner = open("owner");
    Registration registration = owner.register(memory);
    try (RemoteReader reader =
        RemoteReader.launch(owner.describe(), memory.address(), memory.byteSize())) {
      Signals.freeze(reader.process());
      long start = System.nanoTime();
      CompletableFuture<Void> first = CompletableFuture.runAsync(owner::close);
      await("it begins to close", () -> isClosing(owner));

      owner.close();

      assertThat(Duration.ofNanos(System.nanoTime() - start))
          .as("whoever comes second waits, too")
          .isGreaterThanOrEqualTo(CLOSING);
      first.join();
      assertThat(owner.statistics().registrations()).isEqualTo(1);
      assertThatThrownBy(registration::close)
          .isInstanceOf(TransferException.class)
          .hasMessageContaining("must not be freed");
      Signals.thaw(reader.process());
      assertThat(reader.line()).isEqualTo("PEER_LOST");
    }
  }

  private static boolean isClosing(NixlTransport transport) {
    try {
      assertThat(transport.describe()).isNotEmpty();
      return false;
    } catch (TransferException e) {
      return true;
    }
  }

  @Test
  void closeOfSource_afterAReaderDied_isDone() throws Exception {
    try (Arena arena = Arena.ofShared();
        NixlTransport owner = open("owner")) {
      MemorySegment memory = Pattern.memory(arena, 4 * MIB, 9);
      Registration registration = owner.register(memory);
      try (RemoteReader reader =
          RemoteReader.launch(owner.describe(), memory.address(), memory.byteSize())) {
        Signals.kill(reader.process());
        await(
            "the memory is free",
            () -> {
              try {
                registration.close();
                return true;
              } catch (TransferException e) {
                return false;
              }
            });
      }
    }
  }
}
