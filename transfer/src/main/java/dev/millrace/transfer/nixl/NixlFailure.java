package dev.millrace.transfer.nixl;

/**
 * A NIXL function answered with an error. NIXL has no error texts: what it has to say is on stderr.
 */
final class NixlFailure extends RuntimeException {
  private static final long serialVersionUID = 1;

  /** Completed. */
  static final int SUCCESS = 0;

  /** Under way; ask again. */
  static final int IN_PROGRESS = 1;

  private final int status;

  NixlFailure(String function, int status) {
    super("NIXL's %s failed with %d (%s)".formatted(function, status, meaning(status)));
    this.status = status;
  }

  int status() {
    return status;
  }

  /** Throws unless {@code status} is success. */
  static void check(String function, int status) {
    if (status != SUCCESS) {
      throw new NixlFailure(function, status);
    }
  }

  /** Most causes are -2; nothing may be decided by the others. */
  static String meaning(int status) {
    return switch (status) {
      case -1 -> "invalid parameter";
      case -2 -> "backend error: link broken, refused or not found";
      case -3 -> "invalid state";
      case -4 -> "exception";
      case -5 -> "no telemetry";
      case -6 -> "not found";
      default -> "no meaning known";
    };
  }
}
