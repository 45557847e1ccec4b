package dev.millrace.layout;

/**
 * Runs of bytes that are contiguous at their source and at their destination, ordered by how the
 * plan walks them.
 */
@FunctionalInterface
public interface Runs {
  /** A new walk from the start. Walks are independent of each other. */
  RunCursor cursor();
}
