package dev.millrace.router.agents;

/**
 * The decode engine to which blocks are to be carried, as it is known from its own answers.
 *
 * @param engineId {@code remote_engine_id}
 * @param host where its side channel listens
 * @param port where its side channel listens
 * @param tensorParallel {@code tp_size}
 */
public record DecodeEngine(String engineId, String host, int port, int tensorParallel) {
  @Override
  public String toString() {
    return "engine %s at %s:%d".formatted(engineId, host, port);
  }
}
