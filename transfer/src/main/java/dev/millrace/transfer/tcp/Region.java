package dev.millrace.transfer.tcp;

import dev.millrace.transfer.ReadOutcome.Cause;
import dev.millrace.transfer.Registration;
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
 * middle of a frame, because its other end has stalled, is closed after a moment's grace.
 */
final class Region implements Registration {
  /** Buffers address an int's worth of bytes, so that large memory is seen through several. */
  private static final int WINDOW_BITS = 30;

  static final long WINDOW_BYTES = 1L << WINDOW_BITS;

  /** Many times what a frame takes to pass. */
  private static final Duration GRACE = Duration.ofMillis(250);

  private final MemoryTable table;
  private final long address;
  private final long bytes;
  private final ByteBuffer[] windows;
  private final List<Wire> users = new ArrayList<>();
  private volatile boolean closed;

  Region(MemoryTable table, MemorySegment memory) {
    this.table = table;
    this.address = memory.address();
    this.bytes = memory.byteSize();
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
    long graceEnds = System.nanoTime() + GRACE.toNanos();
    boolean interrupted = false;
    synchronized (this) {
      closed = true;
      boolean aborted = false;
      while (!users.isEmpty()) {
        long graceMillis = (graceEnds - System.nanoTime()) / 1_000_000;
        if (graceMillis <= 0 && !aborted) {
          aborted = true;
          for (Wire user : List.copyOf(users)) {
            user.abort(Cause.OUT_OF_BOUNDS, "memory at %#x was unregistered".formatted(address));
          }
        }
        try {
          // A user whose connection is closed leaves its system call and lets go.
          wait(Math.max(1, graceMillis));
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
