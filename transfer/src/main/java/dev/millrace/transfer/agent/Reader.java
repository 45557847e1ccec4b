package dev.millrace.transfer.agent;

import java.util.Optional;

/**
 * A decode engine that is to read a hand-off.
 *
 * @param engineId empty: whichever engine answers there
 * @param host where its side channel listens
 * @param port where its side channel listens
 * @param tensorParallel number of its ranks
 */
public record Reader(Optional<String> engineId, String host, int port, int tensorParallel) {
  /** The engine, under this id. */
  RemoteEngine named(String id) {
    return new RemoteEngine(id, host, port, tensorParallel, 1);
  }
}
