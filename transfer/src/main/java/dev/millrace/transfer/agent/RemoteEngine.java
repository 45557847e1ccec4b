package dev.millrace.transfer.agent;

/**
 * A prefill engine, as vLLM's {@code kv_transfer_params} name it (v0.32.0).
 *
 * @param engineId {@code remote_engine_id}
 * @param host {@code remote_host}, where its side channel listens
 * @param port {@code remote_port}
 * @param tensorParallel {@code tp_size}
 * @param pipelineParallel {@code pp_size}
 */
public record RemoteEngine(
    String engineId, String host, int port, int tensorParallel, int pipelineParallel) {
  /** More ranks than any engine has. */
  private static final int MOST_RANKS = 1024;

  private static final int LONGEST_ID = 256;

  public RemoteEngine {
    if (engineId.isBlank() || engineId.length() > LONGEST_ID || host.isBlank()) {
      throw new AgentRefusal(
          Reason.INVALID,
          "an engine is named by its id (at most %d characters) and the host and port of its side channel"
              .formatted(LONGEST_ID));
    }
    if (tensorParallel < 1
        || pipelineParallel < 1
        || (long) tensorParallel * pipelineParallel > MOST_RANKS) {
      throw new AgentRefusal(
          Reason.INVALID,
          "tensor parallelism %d and pipeline parallelism %d make no number of ranks (1 to %d)"
              .formatted(tensorParallel, pipelineParallel, MOST_RANKS));
    }
  }

  /** Where it is asked for handshakes. */
  String sideChannel() {
    return host + ":" + port;
  }
}
