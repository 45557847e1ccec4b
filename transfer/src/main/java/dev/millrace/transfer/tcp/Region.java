package dev.millrace.transfer.tcp;

import dev.millrace.transfer.ReadOutcome.Cause;
import dev.millrace.transfer.Registration;
import dev.millrace.transfer.TransferException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * A piece of registered memory, with the connections that are at work on it.
 *
 * <p>A connection claims the region for the time of a batch. Closing the region ends new claims at
 * once; a connection at work notices between two frames and gives up. One that is blocked in the
 * middle of a frame, because its other end has stalled, is closed after a moment's grace. What is
 * left then is a read whose runs, which are the application's code, do not come to an end: then the
 * memory stays in use, and closing it says so.
 */
final class Region implements Registration {
  /** Buffers address an int's worth of bytes, so that large memory is seen through several. */
  private static final int WINDOW_BITS = 30;

  static final long WINDOW_BYTES = 1L << WINDOW_BITS;

  /** Many times what a frame takes to pass. */
  private static final Duration GRACE = Duration.ofMillis(250);

  /** Many times what a thread takes to leave a system call whose socket was closed. */
  private static final Duration CLOSING = Duration.ofSeconds(5);

  private final MemoryTable table;
  private final long address;
  private final long bytes;
  private final MemorySegment memory;
  private final ByteBuffer[] windows;
  private final List<Wire> users = new ArrayList<>();
  private volatile boolean closed;

  Region(MemoryTable table, MemorySegment memory) {
    this.table = table;
    this.address = memory.address();
    this.bytes = memory.byteSize();
    this.memory = memory;
    this.windows = new ByteBuffer[(int) ((bytes + WINDOW_BYTES - 1) >>> WINDOW_BITS)];
    for (int i = 0; i < windows.length; i++) {
      long from = (long) i << WINDOW_BITS;
      windows[i] = memory.asSlice(from, Math.min(WINDOW_BYTES, bytes - from)).asByteBuffer();
    }
  }

  @Override
  public long address() {
    return address;
  }

  @Override
  public long bytes() {
    return bytes;
  }

  boolean isClosed() {
    return closed;
  }

  /** Whether the range lies inside; neither sum nor difference can wrap around. */
  boolean contains(long start, long length) {
    if (Long.compareUnsigned(start, address) < 0 || length < 1 || length > bytes) {
      return false;
    }
    return Long.compareUnsigned(start - address, bytes - length) <= 0;
  }

  /** How many of the {@code length} bytes from {@code start} lie in one window. */
  int inOneWindow(long start, int length) {
    long intoWindow = (start - address) & (WINDOW_BYTES - 1);
    return (int) Math.min(length, WINDOW_BYTES - intoWindow);
  }

  /** The bytes from {@code start}, which lie in one window. */
  ByteBuffer view(long start, int length) {
    long offset = start - address;
    return windows[(int) (offset >>> WINDOW_BITS)].slice(
        (int) (offset & (WINDOW_BYTES - 1)), length);
  }

  /** Copies the bytes from {@code start}, which lie inside, to {@code out}. */
  void copyTo(MemorySegment out, long outOffset, long start, int length) {
    MemorySegment.copy(memory, start - address, out, outOffset, length);
  }

  /** Copies bytes of {@code in} to those from {@code start}, which lie inside. */
  void copyFrom(MemorySegment in, long inOffset, long start, int length) {
    MemorySegment.copy(in, inOffset, memory, start - address, length);
  }

  /** False if the region is closed. */
  synchronized boolean claim(Wire user) {
    if (closed) {
      return false;
    }
    users.add(user);
    return true;
  }

  synchronized void release(Wire user) {
    users.remove(user);
    if (users.isEmpty()) {
      notifyAll();
    }
  }

  @Override
  public void close() {
    table.remove(this);
    long start = System.nanoTime();
    boolean interrupted = false;
    int left;
    synchronized (this) {
      closed = true;
      boolean aborted = false;
      while (!users.isEmpty() && System.nanoTime() - start < CLOSING.toNanos()) {
        long graceMillis = (GRACE.toNanos() - (System.nanoTime() - start)) / 1_000_000;
        if (graceMillis <= 0 && !aborted) {
          aborted = true;
          for (Wire user : List.copyOf(users)) {
            user.abort(Cause.OUT_OF_BOUNDS, "memory at %#x was unregistered".formatted(address));
          }
        }
        try {
          // A user whose connection is closed leaves its system call and lets go.
          wait(graceMillis > 0 ? graceMillis : CLOSING.toMillis() / 10);
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
      left = users.size();
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    if (left > 0) {
      throw new TransferException(
          "memory of %d bytes at %#x must not be freed yet: %d reads are still on their way through their runs. Close the registration again later"
              .formatted(bytes, address, left));
    }
  }
}
