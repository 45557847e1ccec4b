package dev.millrace.transfer.agent;

import dev.millrace.transfer.Registration;
import dev.millrace.transfer.TransferException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The agent's memory: slabs within a budget.
 *
 * <p>A block is free, held by whoever took it, or in quarantine: given up, but a read that nobody
 * waits for may still write it. Quarantine ends when that read has ended and the transport says
 * that nothing writes there any more. A slab without a held or quarantined block goes when another
 * geometry needs its place in the budget.
 */
final class Memory implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Memory.class);

  private final AgentTransport transport;
  private final long budgetBytes;
  private final long slabBytes;
  private final List<Slab> slabs = new ArrayList<>();
  private final List<Slab> setAside = new ArrayList<>();
  private final List<Quarantine> quarantines = new ArrayList<>();
  private final List<Scratch> retired = new ArrayList<>();
  private final List<Slab> unfreed = new ArrayList<>();
  private long registeredBytes;
  private long heldBytes;
  private long quarantinedBytes;
  private boolean closed;
  private volatile Use use = new Use(0, 0, 0);

  /** Blocks of one slab. */
  record Blocks(Slab slab, List<Integer> ids) {
    Blocks {
      ids = List.copyOf(ids);
    }

    long bytes() {
      return ids.size() * slab.kind().idBytes();
    }

    /** Some of them. */
    Blocks only(Set<Integer> some) {
      return new Blocks(slab, ids.stream().filter(some::contains).toList());
    }
  }

  /** What the budget is used for. */
  record Use(long registeredBytes, long heldBytes, long quarantinedBytes) {}

  private record Quarantine(Blocks blocks, CompletableFuture<?> reads) {}

  Memory(AgentTransport transport, long budgetBytes, long slabBytes) {
    this.transport = transport;
    this.budgetBytes = budgetBytes;
    this.slabBytes = slabBytes;
  }

  /** Takes blocks of one slab, or says why not. */
  synchronized Blocks take(Slab.Kind kind, int count) {
    refuseWhenClosed();
    sweep();
    for (Slab slab : slabs) {
      if (slab.kind().equals(kind) && slab.freeIds() >= count) {
        return held(slab, count);
      }
    }
    long idBytes = kind.idBytes();
    long least;
    try {
      least = Slab.bytes(kind, count);
    } catch (ArithmeticException e) {
      throw full(Long.MAX_VALUE);
    }
    makeRoom(Math.max(least, slabBytes));
    long room = budgetBytes - registeredBytes;
    if (least > room) {
      throw full(least);
    }
    int ids = (int) Math.min(Integer.MAX_VALUE, Math.min(slabBytes, room) / idBytes);
    while (ids > count && Slab.bytes(kind, ids) > room) {
      ids--;
    }
    Slab slab;
    try {
      slab = new Slab(kind, Math.max(count, ids), transport.blocks());
    } catch (OutOfMemoryError e) {
      throw new AgentRefusal(
          Reason.MEMORY_FULL,
          "this machine has no %d bytes left, though the budget has: %s"
              .formatted(least, e.getMessage()));
    }
    registeredBytes += slab.bytes();
    slabs.add(slab);
    return held(slab, count);
  }

  /**
   * Sets a slab aside that stays, whatever else needs its place in the budget. Its first block is
   * null in engines' block tables: nobody holds it, and it is never taken.
   *
   * @param bytes about as many
   */
  synchronized Slab setAside(Slab.Kind kind, long bytes) {
    refuseWhenClosed();
    sweep();
    makeRoom(bytes);
    long room = Math.min(bytes, budgetBytes - registeredBytes);
    int ids = (int) Math.min(Integer.MAX_VALUE, Math.max(0, room) / kind.idBytes());
    while (ids > 0 && Slab.bytes(kind, ids) > room) {
      ids--;
    }
    if (ids < 2) {
      throw full(Slab.bytes(kind, 2));
    }
    Slab slab;
    try {
      slab = new Slab(kind, ids, transport.blocks());
    } catch (OutOfMemoryError e) {
      throw new AgentRefusal(
          Reason.MEMORY_FULL,
          "this machine has no %d bytes left, though the budget has: %s"
              .formatted(room, e.getMessage()));
    }
    List<Integer> _ = slab.take(1);
    registeredBytes += slab.bytes();
    setAside.add(slab);
    publish();
    return slab;
  }

  /** Takes blocks of a slab that was {@linkplain #setAside set aside}, or says why not. */
  synchronized Blocks take(Slab slab, int count) {
    refuseWhenClosed();
    sweep();
    if (slab.freeIds() < count) {
      throw new AgentRefusal(
          Reason.MEMORY_FULL,
          "%d blocks of %d bytes are needed, %d are free of the %d bytes that are set aside for engines of this kind; see memory.serving in the agent's configuration"
              .formatted(count, slab.kind().idBytes(), slab.freeIds(), slab.bytes()));
    }
    return held(slab, count);
  }

  private Blocks held(Slab slab, int count) {
    Blocks taken = new Blocks(slab, slab.take(count));
    heldBytes += taken.bytes();
    publish();
    return taken;
  }

  private AgentRefusal full(long bytes) {
    return new AgentRefusal(
        Reason.MEMORY_FULL,
        "%d bytes are needed, %d of the budget of %d are registered, of which copies hold %d and abandoned reads %d"
            .formatted(bytes, registeredBytes, budgetBytes, heldBytes, quarantinedBytes));
  }

  /** Lets slabs go that hold nothing, oldest first, until so much is free. */
  private void makeRoom(long bytes) {
    freeSlabs();
    Iterator<Slab> each = slabs.iterator();
    while (budgetBytes - registeredBytes < bytes && each.hasNext()) {
      Slab slab = each.next();
      if (slab.isIdle()) {
        each.remove();
        unfreed.add(slab);
        freeSlabs();
      }
    }
  }

  /** Frees slabs that are gone. What the transport does not let go of is tried again next time. */
  private void freeSlabs() {
    Iterator<Slab> each = unfreed.iterator();
    while (each.hasNext()) {
      Slab slab = each.next();
      try {
        slab.close();
        each.remove();
        registeredBytes -= slab.bytes();
      } catch (TransferException e) {
        LOG.warn("{} bytes of the budget stay in use: {}", slab.bytes(), e.getMessage());
      }
    }
    publish();
  }

  private void publish() {
    use = new Use(registeredBytes, heldBytes, quarantinedBytes);
  }

  /** Gives blocks back that nothing writes. */
  synchronized void free(Blocks blocks) {
    heldBytes -= blocks.bytes();
    giveBack(blocks);
    publish();
  }

  private void giveBack(Blocks blocks) {
    blocks.slab().giveBack(blocks.ids());
  }

  /**
   * Gives blocks up that reads may still write.
   *
   * @return how many bytes of them are in quarantine
   */
  synchronized long quarantine(Blocks blocks, CompletableFuture<?> reads) {
    heldBytes -= blocks.bytes();
    quarantinedBytes += blocks.bytes();
    Quarantine quarantine = new Quarantine(blocks, reads);
    quarantines.add(quarantine);
    sweep();
    return quarantines.contains(quarantine) ? blocks.bytes() : 0;
  }

  /** Ends the quarantines that can be ended. */
  synchronized void sweep() {
    Iterator<Quarantine> each = quarantines.iterator();
    while (each.hasNext()) {
      Quarantine quarantine = each.next();
      if (quarantine.reads().isDone() && isQuiet(quarantine.blocks())) {
        each.remove();
        quarantinedBytes -= quarantine.blocks().bytes();
        giveBack(quarantine.blocks());
      }
    }
    Iterator<Scratch> over = retired.iterator();
    while (over.hasNext()) {
      Scratch scratch = over.next();
      if (!transport.mayStillBeWritten(scratch.memory)) {
        try {
          scratch.free();
          over.remove();
        } catch (TransferException e) {
          LOG.warn("{} bytes stay in use: {}", scratch.memory.byteSize(), e.getMessage());
        }
      }
    }
    publish();
  }

  private boolean isQuiet(Blocks blocks) {
    return blocks.ids().stream()
        .flatMap(id -> blocks.slab().pieces(id).stream())
        .noneMatch(transport::mayStillBeWritten);
  }

  /** Does not wait for memory that is being set aside, so that an event loop may ask. */
  Use use() {
    return use;
  }

  /** Memory for a moment, within the budget. */
  final class Scratch implements AutoCloseable {
    private final Arena arena = Arena.ofShared();
    private final MemorySegment memory;
    private final Registration registration;

    private Scratch(long bytes) {
      memory = arena.allocate(bytes, 4096);
      try {
        registration = transport.blocks().register(memory);
      } catch (RuntimeException e) {
        arena.close();
        throw e;
      }
    }

    long address() {
      return memory.address();
    }

    @Override
    public void close() {
      synchronized (Memory.this) {
        retired.add(this);
        sweep();
      }
    }

    private void free() {
      registration.close();
      arena.close();
      registeredBytes -= memory.byteSize();
    }
  }

  /** Takes memory that {@link Scratch#close} gives back, once nothing writes it any more. */
  synchronized Scratch scratch(long bytes) {
    refuseWhenClosed();
    makeRoom(bytes);
    if (budgetBytes - registeredBytes < bytes) {
      throw full(bytes);
    }
    Scratch scratch = new Scratch(bytes);
    registeredBytes += bytes;
    publish();
    return scratch;
  }

  private void refuseWhenClosed() {
    if (closed) {
      throw new AgentRefusal(Reason.CLOSED, "the agent is ending");
    }
  }

  /**
   * Frees everything. The transport has been closed, so that nothing writes any more, or the
   * transport says that its peers hang and the memory stays in use until the process ends.
   */
  @Override
  public synchronized void close() {
    closed = true;
    quarantines.clear();
    unfreed.addAll(slabs);
    unfreed.addAll(setAside);
    slabs.clear();
    setAside.clear();
    sweep();
    freeSlabs();
  }
}
