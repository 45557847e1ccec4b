package dev.millrace.transfer.agent;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * What the agent holds, each copy until its expiry or until all its readers are done.
 *
 * <p>Readers speak as they do to a prefill engine: {@code HB:id1,id2} keeps copies for longer,
 * {@code id:n} says that one rank is done (vLLM v0.32).
 */
final class Copies {
  private static final String HEARTBEAT = "HB:";

  private final Memory memory;
  private final Duration hold;
  private final InstantSource clock;
  private final Map<String, Entry> entries = new LinkedHashMap<>();
  private volatile int count;
  private volatile int openReaders;

  private record Entry(HeldCopy copy, Memory.Blocks blocks, Optional<Readership> readers) {
    Entry until(Instant expiry) {
      return new Entry(copy.until(expiry), blocks, readers);
    }

    int openReaders() {
      return readers.map(Readership::open).orElse(0);
    }

    boolean isReadBy(String readerId) {
      return readers.map(each -> each.isReading(readerId)).orElse(false);
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

  /** Keeps a copy that nobody reads from outside. */
  void add(HeldCopy copy, Memory.Blocks blocks) {
    add(new Entry(copy, blocks, Optional.empty()));
  }

  /** Keeps a copy for readers. */
  void serve(HeldCopy copy, Memory.Blocks blocks, Readership readers) {
    add(new Entry(copy, blocks, Optional.of(readers)));
  }

  private synchronized void add(Entry entry) {
    entries.put(entry.copy().id(), entry);
    publish();
  }

  private void publish() {
    count = entries.size();
    openReaders = entries.values().stream().mapToInt(Entry::openReaders).sum();
  }

  synchronized Optional<HeldCopy> find(String id) {
    return Optional.ofNullable(entries.get(id)).map(Entry::copy);
  }

  /**
   * Sends one more reader to a copy, which is kept for longer.
   *
   * @param of the hand-off that it must be a copy of
   * @param readers that have yet to be done, this one among them; 0 leaves it as it is
   * @return the copy, unless it is gone or not for readers
   */
  synchronized Optional<HeldCopy> send(
      String copyId, HandOff of, String readerId, int readers, Predicate<HeldCopy> fits) {
    Entry entry = entries.get(copyId);
    if (entry == null
        || entry.readers().isEmpty()
        || !isOf(of, entry)
        || !fits.test(entry.copy())) {
      return Optional.empty();
    }
    Readership readership = entry.readers().get();
    readership.send(readerId);
    readership.await(readers);
    Entry kept = entry.until(expiry());
    entries.put(copyId, kept);
    publish();
    return Optional.of(kept.copy());
  }

  /** Does not wait for copies that are being dropped, so that an event loop may ask. */
  int count() {
    return count;
  }

  /** Readers that have been sent to a copy and are not done. */
  int openReaders() {
    return openReaders;
  }

  /** Keeps the copies of a hand-off for longer. */
  synchronized int extend(HandOff handOff) {
    return extendIf(entry -> isOf(handOff, entry));
  }

  private int extendIf(Predicate<Entry> which) {
    Instant expiry = expiry();
    int extended = 0;
    for (Map.Entry<String, Entry> each : entries.entrySet()) {
      if (which.test(each.getValue())) {
        each.setValue(each.getValue().until(expiry));
        extended++;
      }
    }
    return extended;
  }

  /** Takes what a decode engine's rank says; anybody can say anything. */
  void told(String sender, byte[] payload) {
    String message = new String(payload, StandardCharsets.UTF_8);
    if (message.startsWith(HEARTBEAT)) {
      List<String> ids = List.of(message.substring(HEARTBEAT.length()).split(",", -1));
      synchronized (this) {
        int _ = extendIf(entry -> ids.stream().anyMatch(entry::isReadBy));
      }
      return;
    }
    int colon = message.lastIndexOf(':');
    if (colon > 0) {
      done(message.substring(0, colon), sender);
    }
  }

  private synchronized void done(String readerId, String sender) {
    Dropped _ =
        dropIf(
            entry -> entry.readers().map(readers -> readers.done(readerId, sender)).orElse(false));
    publish();
  }

  /**
   * Drops copies of a hand-off.
   *
   * @param only the id of the only one that goes; empty: all of them
   */
  Dropped drop(HandOff handOff, Optional<String> only) {
    return dropIf(
        entry -> isOf(handOff, entry) && only.map(entry.copy().id()::equals).orElse(true));
  }

  /** Drops what has expired. */
  void reap() {
    Instant now = clock.instant();
    Dropped _ = dropIf(entry -> !entry.copy().expiry().isAfter(now));
  }

  private synchronized Dropped dropIf(Predicate<Entry> over) {
    List<Entry> dropped = new ArrayList<>();
    entries.values().removeIf(entry -> over.test(entry) && dropped.add(entry));
    long bytes = 0;
    for (Entry entry : dropped) {
      bytes += entry.blocks().bytes();
      memory.free(entry.blocks());
    }
    // Who sees that a copy is gone may rely on its memory being free.
    publish();
    return new Dropped(dropped.size(), bytes);
  }

  private static boolean isOf(HandOff handOff, Entry entry) {
    HandOff held = entry.copy().handOff();
    return held.requestId().equals(handOff.requestId())
        && held.engine().engineId().equals(handOff.engine().engineId());
  }
}
