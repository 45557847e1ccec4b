package dev.millrace.transfer.rpc;

import io.vertx.grpc.common.GrpcStatus;

/**
 * A call of an agent did not end with an answer; {@code kv_transfer.proto} says what statuses mean.
 */
public final class AgentCallFailed extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final GrpcStatus status;
  private final boolean unanswered;

  private AgentCallFailed(GrpcStatus status, String message, boolean unanswered) {
    super(message, null, false, false);
    this.status = status;
    this.unanswered = unanswered;
  }

  AgentCallFailed(GrpcStatus status, String message) {
    this(status, message, false);
  }

  static AgentCallFailed unanswered(String message) {
    return new AgentCallFailed(GrpcStatus.UNAVAILABLE, message, true);
  }

  /** Whether the agent is not there, or is going. What else fails, a living agent has said. */
  public boolean isUnanswered() {
    return unanswered;
  }

  /**
   * How the call ended; {@code UNAVAILABLE} if the agent did not answer, and if it says so of an
   * engine.
   */
  public GrpcStatus status() {
    return status;
  }
}
