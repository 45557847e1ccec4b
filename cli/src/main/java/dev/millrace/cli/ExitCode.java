package dev.millrace.cli;

/** How commands end; the same for all of them. */
final class ExitCode {
  /** Done. */
  static final int DONE = 0;

  /** The thing asked is not so: the answer is not equal. */
  static final int NOT_SO = 1;

  /** The command line, or a file it names, is wrong. */
  static final int USAGE = 2;

  /** Something that must be reached cannot be. */
  static final int UNREACHABLE = 3;

  /** Our own fault (sysexits.h: EX_SOFTWARE). */
  static final int OUR_FAULT = 70;

  private ExitCode() {}
}
