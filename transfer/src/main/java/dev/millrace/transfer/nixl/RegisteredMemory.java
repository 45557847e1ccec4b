package dev.millrace.transfer.nixl;

import dev.millrace.transfer.RegistrableMemory;
import dev.millrace.transfer.TransferException;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;

/**
 * This side's memory that peers may read and reads may write: how it is registered, and how it is
 * taken back.
 *
 * <p>Deregistering revokes nothing in NIXL, and memory that is freed under a read ends the process.
 * So taking memory back has an order: no new request may touch it; those that do must have ended;
 * each reader must have said that it reads it no more, or have gone. Only then may it be freed.
 */
final class RegisteredMemory {
  /** For calls that only compute, or pin memory. */
  private static final Duration LOCAL_CALL = Duration.ofSeconds(60);

  private final AgentHandle agent;
  private final ControlLoop control;
  private final Readers readers;
  private final Duration closing;
  private final Set<Claims> knownToEngines = new HashSet<>();
  private final CompletableFuture<Boolean> isFree = new CompletableFuture<>();
  private volatile RegionTable table = RegionTable.EMPTY;
  private volatile boolean transportCloses;

  /**
   * Nothing is registered yet.
   *
   * @param closing how long taking memory back may take
   */
  RegisteredMemory(AgentHandle agent, ControlLoop control, Readers readers, Duration closing) {
    this.agent = agent;
    this.control = control;
    this.readers = readers;
    this.closing = closing;
  }

  RegionTable table() {
    return table;
  }

  List<Region> regions() {
    return table.regions();
  }

  NixlRegistration register(MemorySegment segment) {
    RegistrableMemory.check(segment);
    Claims claims = new Claims(new Region(segment.address(), segment.byteSize()));
    // Two registrations of the same bytes would need two deregistrations, and NIXL counts neither.
    table.with(claims);
    control.call(
        "registering memory of " + claims.region(),
        LOCAL_CALL,
        () -> {
          RegionTable grown = table.with(claims);
          agent.register(claims.region());
          table = grown;
          return true;
        });
    return new NixlRegistration(claims, segment, this::takeBack);
  }

  /** This agent's metadata with all memory; it cannot be taken back afterwards. */
  byte[] tellEngines() {
    return control.call(
        "describing this transport to engines",
        LOCAL_CALL,
        () -> {
          knownToEngines.addAll(table.all());
          return agent.metadata();
        });
  }

  private void takeBack(NixlRegistration registration) {
    if (!transportCloses) {
      try {
        takeBackFromAll(registration);
        return;
      } catch (TransferException e) {
        if (!transportCloses) {
          throw e;
        }
      }
    }
    Region region = registration.claims().region();
    if (!ControlLoop.await("closing the transport", closing.multipliedBy(3), isFree)) {
      throw inUse(region, "its transport was closed while peers were reading");
    }
  }

  private void takeBackFromAll(NixlRegistration registration) {
    if (registration.isClosed()) {
      return;
    }
    Claims claims = registration.claims();
    Region region = claims.region();
    long end = System.nanoTime() + closing.toNanos();
    control.call(
        "unregistering",
        closing,
        () -> {
          if (knownToEngines.contains(claims)) {
            throw new TransferException(
                "memory of %s was described to engines, from which it cannot be taken back: close the transport before it is freed"
                    .formatted(region));
          }
          table = table.without(claims);
          claims.close();
          return true;
        });
    try {
      if (!claims.awaitUnclaimed(left(end))) {
        throw inUse(region, "%d abandoned requests may still write it".formatted(claims.count()));
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw inUse(region, "waiting for its last use was interrupted");
    }
    Readers.Revocation revocation = new Readers.Revocation(region);
    control.submit(() -> readers.revoke(revocation));
    try {
      ControlLoop.await("taking memory back", left(end), revocation.done());
    } catch (TransferException e) {
      Set<String> holders =
          control.call("unregistering", LOCAL_CALL, () -> readers.giveUp(revocation));
      // None: the last one let go just now.
      if (!holders.isEmpty()) {
        throw inUse(region, "these peers have not let go of it: " + holders);
      }
    }
    control.call(
        "unregistering",
        LOCAL_CALL,
        () -> {
          if (!registration.isClosed()) {
            agent.deregister(region);
            registration.end();
          }
          return true;
        });
  }

  private static Duration left(long endNanos) {
    return Duration.ofNanos(Math.max(1_000_000, endNanos - System.nanoTime()));
  }

  private static TransferException inUse(Region region, String why) {
    return new TransferException(
        "memory of %s must not be freed yet: %s. Close the registration again later, or close the transport"
            .formatted(region, why));
  }

  /** The transport has begun to close: its end decides for all memory. */
  void transportCloses() {
    transportCloses = true;
  }

  /** The agent is gone, and nothing of it is in use. */
  void isFree() {
    table = RegionTable.EMPTY;
    isFree.complete(true);
  }

  /** The agent lives on, and its memory is in use until the process ends. */
  void staysInUse() {
    isFree.complete(false);
  }
}
