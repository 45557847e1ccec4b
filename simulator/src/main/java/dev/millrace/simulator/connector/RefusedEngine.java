package dev.millrace.simulator.connector;

/** A prefill engine from which nothing is loaded, with the reason for people. */
final class RefusedEngine extends RuntimeException {
  private static final long serialVersionUID = 1;

  RefusedEngine(String reason) {
    super(reason, null, false, false);
  }
}
