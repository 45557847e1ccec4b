package dev.millrace.transfer.nixl;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * What this agent knows of another one: its metadata is loaded under its name. Shared by all {@link
 * NixlPeer}s of that agent. A link that broke stays broken; connecting again makes a new one.
 *
 * <p>Only the control thread loads, invalidates and changes links. Reads look at the fields that
 * are volatile.
 */
final class Link {
  /** What the other end understands. */
  enum Language {
    /** Signed frames: it is a transport like this one. */
    FRAMES,
    /** Bytes of an engine's own protocol. */
    ENGINE
  }

  private final Target target;
  private final MemorySegment cName;
  private final Set<NixlPeer> peers = new HashSet<>();
  private final List<Claims> dropped = new ArrayList<>();
  private volatile RegionTable table = RegionTable.EMPTY;
  private final AtomicInteger refreshes = new AtomicInteger();
  private volatile @Nullable String broken;
  private int requests;
  private boolean retired;
  private boolean reloading;
  private boolean asking;
  private boolean welcome;

  /**
   * Who is at the other end.
   *
   * @param label for people
   * @param agentName for NIXL
   * @param kind where the memory is that is read
   * @param device the GPU's ordinal there, 0 for host memory
   */
  record Target(String label, String agentName, Language language, MemoryKind kind, long device) {
    /** A transport like this one. */
    static Target transport(Envelope envelope) {
      return new Target(
          envelope.label(), envelope.agentName(), Language.FRAMES, MemoryKind.DRAM, 0);
    }

    static Target engine(EngineDescription engine) {
      return new Target(
          engine.agentName(), engine.agentName(), Language.ENGINE, engine.kind(), engine.device());
    }
  }

  Link(Target target) {
    this.target = target;
    this.cName = cString(target.agentName());
  }

  /** A peer's name as NIXL takes it, valid as long as somebody has it. */
  static MemorySegment cString(String text) {
    return Arena.ofAuto().allocateFrom(text);
  }

  Target target() {
    return target;
  }

  /** What people call the other end. */
  String label() {
    return target.label();
  }

  /** What NIXL calls it. */
  String agentName() {
    return target.agentName();
  }

  Language language() {
    return target.language();
  }

  MemorySegment cName() {
    return cName;
  }

  /** The memory that may be read through it. */
  RegionTable table() {
    return table;
  }

  /**
   * Changes what may be read through it. Memory that drops out while requests still touch it is
   * remembered for its owner, who may want it back. For the control thread.
   */
  void setRegions(Collection<Region> regions) {
    RegionTable before = table;
    RegionTable after = before.renewed(regions);
    table = after;
    for (Claims claims : before.all()) {
      if (after.exactly(claims.region()) != claims) {
        claims.close();
        dropped.add(claims);
      }
    }
    dropped.removeIf(claims -> claims.count() == 0);
  }

  /**
   * Stops reading memory that its owner wants back. May be asked again. For the control thread.
   *
   * @return claims on a part of it that some request still has, or null
   */
  @Nullable Claims revoke(Region region) {
    Claims claims = table.exactly(region);
    if (claims != null) {
      claims.close();
      table = table.without(claims);
      dropped.add(claims);
    }
    dropped.removeIf(earlier -> earlier.count() == 0);
    return dropped.stream()
        .filter(earlier -> earlier.region().overlaps(region))
        .findFirst()
        .orElse(null);
  }

  /** Why it cannot be used any more, or null. */
  @Nullable String broken() {
    return broken;
  }

  /** The first reason counts. From any thread. */
  synchronized void breakWith(String reason) {
    if (broken == null) {
      broken = reason;
    }
  }

  /** How many requests NIXL has of it, abandoned ones included. */
  synchronized int requests() {
    return requests;
  }

  /** Counts a request that is about to be made; false while none may be. */
  synchronized boolean requestBegins() {
    if (reloading || retired) {
      return false;
    }
    requests++;
    return true;
  }

  synchronized void requestEnds() {
    requests--;
  }

  /**
   * Ends it for good: no request can be made any more. False if there are some.
   *
   * <p>Only then may its metadata be invalidated: a request that is made afterwards could meet
   * those of a newer link to the same agent, and read memory that nobody would count it for.
   */
  synchronized boolean retire() {
    if (requests > 0) {
      return false;
    }
    retired = true;
    breakWith("it was closed");
    return true;
  }

  /**
   * Keeps further requests from being made until the metadata is replaced; false as long as there
   * are some, and it must be tried again.
   */
  synchronized boolean beginReload() {
    reloading = true;
    return requests == 0;
  }

  synchronized void endReload() {
    reloading = false;
  }

  /** How often the table has been brought up to date. Reads wait for it to change. */
  int refreshes() {
    return refreshes.get();
  }

  /** True for the first who asks. For the control thread. */
  boolean beginAsking() {
    boolean first = !asking;
    asking = true;
    return first;
  }

  void refreshed() {
    asking = false;
    refreshes.incrementAndGet();
  }

  /** Whether the other end has us among its readers. For the control thread. */
  boolean isWelcome() {
    return welcome;
  }

  void welcomed() {
    welcome = true;
  }

  /** The peers that were given out. For the control thread. */
  Set<NixlPeer> peers() {
    return peers;
  }
}
