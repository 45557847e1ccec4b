package dev.millrace.layout;

/**
 * Two geometries, or a geometry and its model, cannot go together; the message says which values
 * and why.
 */
public final class IncompatibleGeometry extends RuntimeException {
  private static final long serialVersionUID = 1;

  public IncompatibleGeometry(String message) {
    super(message);
  }
}
