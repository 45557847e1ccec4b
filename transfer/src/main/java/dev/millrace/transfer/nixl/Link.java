package dev.millrace.transfer.nixl;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
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
  private final List<Claims> revoked = new ArrayList<>();
  private volatile RegionTable table = RegionTable.EMPTY;
  private final AtomicInteger refreshes = new AtomicInteger();
  private volatile @Nullable String broken;
  private int requests;
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
  record Target(String label, String agentName, Language language, MemoryKind kind, long device) {}

  Link(Target target, MemorySegment cName) {
    this.target = target;
    this.cName = cName;
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

  void setTable(RegionTable table) {
    this.table = table;
  }

  /**
   * Stops reading memory that its owner wants back, and runs {@code action} when no request touches
   * it any more. May be asked again. For the control thread.
   */
  void revoke(Region region, Runnable action) {
    Claims claims = table.exactly(region);
    if (claims != null) {
      table = table.without(claims);
      revoked.add(claims);
    }
    revoked.removeIf(earlier -> earlier.count() == 0 && earlier != claims);
    for (Claims earlier : revoked) {
      if (earlier.region().equals(region) && earlier.count() > 0) {
        earlier.closeThen(action);
        return;
      }
    }
    action.run();
  }

  /** Why it cannot be used any more, or null. */
  @Nullable String broken() {
    return broken;
  }

  void breakWith(String reason) {
    broken = reason;
  }

  /** How many requests NIXL has of it, abandoned ones included. */
  synchronized int requests() {
    return requests;
  }

  /** Counts a request that is about to be made; false while none may be. */
  synchronized boolean requestBegins() {
    if (reloading) {
      return false;
    }
    requests++;
    return true;
  }

  synchronized void requestEnds() {
    requests--;
  }

  /** Keeps requests from being made while the metadata is replaced; false if there are some. */
  synchronized boolean beginReload() {
    reloading = requests == 0;
    return reloading;
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
