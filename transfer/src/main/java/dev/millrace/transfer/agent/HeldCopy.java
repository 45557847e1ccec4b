package dev.millrace.transfer.agent;

import dev.millrace.layout.BlockTable;
import dev.millrace.layout.Geometry;
import java.lang.foreign.MemorySegment;
import java.time.Instant;
import java.util.List;

/**
 * The blocks of a hand-off in the agent's memory.
 *
 * @param id names it
 * @param handOff what it is a copy of
 * @param fromToken first token that it has
 * @param geometry of the memory that it lies in
 * @param tables which blocks hold it, per KV-cache group
 * @param memory that the geometry's addresses point into
 * @param expiry when it goes unless it is kept for longer
 */
public record HeldCopy(
    String id,
    HandOff handOff,
    int fromToken,
    Geometry geometry,
    List<BlockTable> tables,
    MemorySegment memory,
    Instant expiry) {
  public HeldCopy {
    tables = List.copyOf(tables);
  }

  /** The same, kept for longer or less long. */
  HeldCopy until(Instant other) {
    return new HeldCopy(id, handOff, fromToken, geometry, tables, memory, other);
  }
}
