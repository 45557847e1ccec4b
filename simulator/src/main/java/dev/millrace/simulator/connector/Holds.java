package dev.millrace.simulator.connector;

import dev.millrace.simulator.VllmRelease;
import dev.millrace.simulator.core.Counters;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.SequencedSet;
import java.util.function.Consumer;

/**
 * The hand-offs of a prefill engine: blocks that stay pinned until their readers have come or their
 * lease ends.
 *
 * <ul>
 *   <li>A lease begins when the answer leaves and lasts {@code kv_lease_duration}.
 *   <li>{@code HB:id1,id2} extends those leases to at least two thirds of that from now on, in
 *       releases that have heartbeats.
 *   <li>{@code id:n} says that one reader is done with this rank; from {@code n} follows how many
 *       will come to it. When that many have come to every rank, the blocks are free.
 * </ul>
 *
 * <p>Belongs to the engine's event loop, but for {@link #heldBlocks}.
 */
final class Holds {
  private static final String HEARTBEAT = "HB:";

  /** Expired hand-offs that are remembered to tell late notifications from wrong ones. */
  private static final int REMEMBERED = 1024;

  private final int ranks;
  private final VllmRelease release;
  private final Duration lease;
  private final InstantSource clock;
  private final Counters counters;
  private final Consumer<int[]> freed;
  private final Map<String, Hold> holds = new HashMap<>();
  private final SequencedSet<String> expired = new LinkedHashSet<>();
  private volatile int heldBlocks;

  private static final class Hold {
    final int[] blocks;
    final int[] readers;
    final boolean[] done;
    Instant expiry;

    Hold(int[] blocks, int ranks, Instant expiry) {
      this.blocks = blocks;
      this.readers = new int[ranks];
      this.done = new boolean[ranks];
      this.expiry = expiry;
    }
  }

  /**
   * No hand-offs yet.
   *
   * @param ranks tensor-parallel ranks, each of which is notified
   * @param release that the engine plays
   * @param freed takes the blocks of a hand-off that has ended
   */
  Holds(
      int ranks,
      VllmRelease release,
      Duration lease,
      InstantSource clock,
      Counters counters,
      Consumer<int[]> freed) {
    this.ranks = ranks;
    this.release = release;
    this.lease = lease;
    this.clock = clock;
    this.counters = counters;
    this.freed = freed;
  }

  /** Pins blocks; the caller has retained them in the pool. */
  void add(String requestId, int[] blocks) {
    holds.put(requestId, new Hold(blocks, ranks, clock.instant().plus(lease)));
    count();
  }

  /** Takes a notification that came to a rank. */
  void notified(int rank, byte[] payload) {
    String message = new String(payload, StandardCharsets.UTF_8);
    if (message.startsWith(HEARTBEAT) && release.hasHeartbeats()) {
      Instant until = clock.instant().plus(lease.multipliedBy(2).dividedBy(3));
      for (String id : message.substring(HEARTBEAT.length()).split(",", -1)) {
        Hold hold = holds.get(id);
        if (hold != null) {
          counters.heartbeats.incrementAndGet();
          hold.expiry = hold.expiry.isBefore(until) ? until : hold.expiry;
        }
      }
      return;
    }
    int colon = message.lastIndexOf(':');
    if (colon < 0) {
      return;
    }
    read(rank, message.substring(0, colon), message.substring(colon + 1));
  }

  private void read(int rank, String id, String number) {
    Hold hold = holds.get(id);
    if (hold == null) {
      if (expired.contains(id)) {
        counters.lateNotifications.incrementAndGet();
      }
      return;
    }
    int expected;
    try {
      expected = release.awaited(Integer.parseInt(number), ranks);
    } catch (NumberFormatException e) {
      return;
    }
    hold.readers[rank]++;
    hold.done[rank] |= hold.readers[rank] >= expected;
    for (boolean done : hold.done) {
      if (!done) {
        return;
      }
    }
    counters.releasedHandoffs.incrementAndGet();
    end(id, hold);
  }

  /** Ends the hand-offs whose lease is over. */
  void reap() {
    Instant now = clock.instant();
    List<String> over = new ArrayList<>();
    holds.forEach((id, hold) -> {
      if (!hold.expiry.isAfter(now)) {
        over.add(id);
      }
    });
    for (String id : over) {
      counters.expiredHandoffs.incrementAndGet();
      expired.addLast(id);
      if (expired.size() > REMEMBERED) {
        expired.removeFirst();
      }
      Hold hold = holds.get(id);
      if (hold != null) {
        end(id, hold);
      }
    }
  }

  /** Ends all hand-offs. */
  void endAll() {
    Map.copyOf(holds).forEach(this::end);
  }

  /** Blocks pinned, each as often as it is. */
  int heldBlocks() {
    return heldBlocks;
  }

  private void end(String id, Hold hold) {
    holds.remove(id);
    count();
    freed.accept(Arrays.copyOf(hold.blocks, hold.blocks.length));
  }

  private void count() {
    heldBlocks = holds.values().stream().mapToInt(hold -> hold.blocks.length).sum();
  }
}
