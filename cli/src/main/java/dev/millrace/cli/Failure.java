package dev.millrace.cli;

/** Ends a command with an exit code and a message that tells its user what to do about it. */
final class Failure extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final int exitCode;

  private Failure(int exitCode, String message) {
    super(message, null, false, false);
    this.exitCode = exitCode;
  }

  /** What was asked for cannot be done as it was asked. */
  static Failure usage(String message) {
    return new Failure(ExitCode.USAGE, message);
  }

  /** What was asked about is not so. */
  static Failure notSo(String message) {
    return new Failure(ExitCode.NOT_SO, message);
  }

  /** Somebody does not answer. */
  static Failure unreachable(String message) {
    return new Failure(ExitCode.UNREACHABLE, message);
  }

  int exitCode() {
    return exitCode;
  }

  /** The message of this failure, which always has one. */
  String text() {
    String message = getMessage();
    return message == null ? "failed" : message;
  }
}
