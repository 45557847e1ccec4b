package dev.millrace.transfer.nixl;

import java.time.Duration;

/**
 * Whom an agent knows, and what it has told them and waits to hear back. For the control thread.
 */
record Relations(
    Links links,
    Introductions introductions,
    Refreshes refreshes,
    Confirmations confirmations,
    Readers readers) {
  /** How often readers that nobody talks to are tried. */
  private static final Duration VISITS = Duration.ofSeconds(5);

  static Relations of(Self self, Outside outside) {
    Links links = new Links(self, outside);
    return new Relations(
        links,
        new Introductions(links, outside),
        new Refreshes(links, self, outside),
        new Confirmations(links, outside),
        new Readers(links, self, outside, VISITS));
  }
}
