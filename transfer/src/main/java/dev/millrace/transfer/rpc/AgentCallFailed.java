package dev.millrace.transfer.rpc;

import io.vertx.grpc.common.GrpcStatus;

/**
 * A call of an agent did not end with an answer; {@code kv_transfer.proto} says what statuses mean.
 */
public final class AgentCallFailed extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final GrpcStatus status;

  AgentCallFailed(GrpcStatus status, String message) {
    super(message, null, false, false);
    this.status = status;
  }

  /** How the call ended; {@code UNAVAILABLE} if the agent did not answer. */
  public GrpcStatus status() {
    return status;
  }
}
