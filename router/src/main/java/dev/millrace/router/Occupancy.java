package dev.millrace.router;

/**
 * What is open in a router at one moment.
 *
 * @param exchanges requests that are not settled
 * @param connections of clients to the public port
 * @param legs requests to workers
 * @param reservations places held on workers
 * @param handOffs blocks that prefill workers hold for us
 */
public record Occupancy(int exchanges, int connections, int legs, int reservations, int handOffs) {

  /** Whether nothing is under way; idle connections of clients do not count. */
  public boolean isIdle() {
    return exchanges == 0 && legs == 0 && reservations == 0 && handOffs == 0;
  }
}
