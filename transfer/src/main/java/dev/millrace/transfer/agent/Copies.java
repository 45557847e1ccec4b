package dev.millrace.transfer.agent;

import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;

/** What the agent holds, each until its expiry. */
final class Copies {
  private final Memory memory;
  private final Duration hold;
  private final InstantSource clock;
  private final Map<String, Entry> entries = new LinkedHashMap<>();
  private volatile int count;

  private record Entry(HeldCopy copy, Memory.Blocks blocks) {
    Entry until(Instant expiry) {
      return new Entry(
          new HeldCopy(
              copy.id(),
              copy.handOff(),
              copy.fromToken(),
              copy.geometry(),
              copy.tables(),
              copy.memory(),
              expiry),
          blocks);
    }
  }

  /** What a drop has freed. */
  record Dropped(int copies, long bytes) {}

  Copies(Memory memory, Duration hold, InstantSource clock) {
    this.memory = memory;
    this.hold = hold;
    this.clock = clock;
  }

  /** When a copy that is made or kept now expires. */
  Instant expiry() {
    return clock.instant().plus(hold);
  }

  synchronized void add(HeldCopy copy, Memory.Blocks blocks) {
    entries.put(copy.id(), new Entry(copy, blocks));
    count = entries.size();
  }

  synchronized Optional<HeldCopy> find(String id) {
    return Optional.ofNullable(entries.get(id)).map(Entry::copy);
  }

  /** Does not wait for copies that are being dropped, so that an event loop may ask. */
  int count() {
    return count;
  }

  /** Keeps the copies of a hand-off for longer. */
  synchronized int extend(HandOff handOff) {
    Instant expiry = expiry();
    int extended = 0;
    for (Map.Entry<String, Entry> each : entries.entrySet()) {
      if (isOf(handOff, each.getValue())) {
        each.setValue(each.getValue().until(expiry));
        extended++;
      }
    }
    return extended;
  }

  Dropped drop(HandOff handOff) {
    return dropIf(entry -> isOf(handOff, entry));
  }

  /** Drops what has expired. */
  void reap() {
    Instant now = clock.instant();
    Dropped _ = dropIf(entry -> !entry.copy().expiry().isAfter(now));
  }

  private synchronized Dropped dropIf(Predicate<Entry> over) {
    List<Entry> dropped = new ArrayList<>();
    entries.values().removeIf(entry -> over.test(entry) && dropped.add(entry));
    count = entries.size();
    long bytes = 0;
    for (Entry entry : dropped) {
      bytes += entry.blocks().bytes();
      memory.free(entry.blocks());
    }
    return new Dropped(dropped.size(), bytes);
  }

  private static boolean isOf(HandOff handOff, Entry entry) {
    HandOff held = entry.copy().handOff();
    return held.requestId().equals(handOff.requestId())
        && held.engine().engineId().equals(handOff.engine().engineId());
  }
}
