package dev.millrace.simulator.cache;

import java.lang.foreign.MemorySegment;

/** Knows whether somebody who was told to stop may still write to memory. */
@FunctionalInterface
public interface Writers {
  /** Whoever stops when told. */
  Writers NONE = memory -> false;

  /** Whether these bytes may still be written. */
  boolean mayWrite(MemorySegment memory);
}
