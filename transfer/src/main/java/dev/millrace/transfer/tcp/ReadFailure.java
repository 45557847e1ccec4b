package dev.millrace.transfer.tcp;

import dev.millrace.transfer.ReadOutcome.Cause;
import java.io.IOException;

/** Ends an exchange on a connection, with the cause that the reader is told. */
final class ReadFailure extends IOException {
  private static final long serialVersionUID = 1;

  private final Cause cause;

  ReadFailure(Cause cause, String reason) {
    super(reason);
    this.cause = cause;
  }

  Cause kind() {
    return cause;
  }

  static ReadFailure corrupt(String reason) {
    return new ReadFailure(Cause.CORRUPT, reason);
  }

  static ReadFailure outOfBounds(String reason) {
    return new ReadFailure(Cause.OUT_OF_BOUNDS, reason);
  }
}
