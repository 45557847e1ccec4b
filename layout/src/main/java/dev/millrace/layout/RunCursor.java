package dev.millrace.layout;

/**
 * Walks over runs without making an object of each.
 *
 * <pre>{@code
 * for (RunCursor run = runs.cursor(); run.next(); ) {
 *   copy(run.sourceAddress(), run.targetAddress(), run.bytes());
 * }
 * }</pre>
 */
public interface RunCursor {
  /** Goes to the next run; false at the end. */
  boolean next();

  /** Where the run starts at its source, an unsigned 64-bit address. */
  long sourceAddress();

  /** Where the run starts at its destination, an unsigned 64-bit address. */
  long targetAddress();

  /** Length of the run, at least 1. */
  long bytes();
}
