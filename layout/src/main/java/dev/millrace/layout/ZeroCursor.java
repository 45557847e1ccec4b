package dev.millrace.layout;

/**
 * Walks over stretches of destination memory that are to be filled with zeros, without making an
 * object of each.
 *
 * <pre>{@code
 * for (ZeroCursor zero = plan.tail().cursor(); zero.next(); ) {
 *   fill(zero.targetAddress(), zero.bytes());
 * }
 * }</pre>
 */
public interface ZeroCursor {
  /** Goes to the next stretch; false at the end. */
  boolean next();

  /** Where the stretch starts, an unsigned 64-bit address. */
  long targetAddress();

  /** Length of the stretch, at least 1. */
  long bytes();
}
