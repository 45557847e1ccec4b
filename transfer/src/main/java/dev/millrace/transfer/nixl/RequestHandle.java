package dev.millrace.transfer.nixl;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * One transfer request: created, posted, asked until it has ended, released. Belongs to one thread.
 *
 * <p>Releasing a request in flight would succeed and stop nothing, so this handle refuses to; only
 * {@link #abandon}, just before the agent itself is destroyed, goes past that.
 */
final class RequestHandle {
  private static final int READ = 0;

  private enum State {
    CREATED,
    POSTED,
    ENDED,
    RELEASED
  }

  private final AgentHandle agent;
  private final MemorySegment request;
  private State state = State.CREATED;
  private int status = NixlFailure.IN_PROGRESS;

  private RequestHandle(AgentHandle agent, MemorySegment request) {
    this.agent = agent;
    this.request = request;
    agent.adopt(this);
  }

  /** A request that reads the batch from the peer. */
  static RequestHandle create(AgentHandle agent, Batch batch, Link link) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment out = call.allocate(ADDRESS);
      MemorySegment local = list(out, MemoryKind.DRAM);
      try {
        MemorySegment remote = list(out, link.target().kind());
        try {
          for (int i = 0; i < batch.size(); i++) {
            NixlFailure.check(
                "xfer_dlist_add_desc",
                TransferFunctions.xferDlistAddDesc(local, batch.target(i), batch.bytes(i), 0));
            NixlFailure.check(
                "xfer_dlist_add_desc",
                TransferFunctions.xferDlistAddDesc(
                    remote, batch.source(i), batch.bytes(i), link.target().device()));
          }
          NixlFailure.check(
              "create_xfer_req",
              TransferFunctions.createXferReq(
                  agent.pointer(), READ, local, remote, link.cName(), out, MemorySegment.NULL));
          return new RequestHandle(agent, out.get(ADDRESS, 0));
        } finally {
          TransferFunctions.destroyXferDlist(remote);
        }
      } finally {
        TransferFunctions.destroyXferDlist(local);
      }
    }
  }

  private static MemorySegment list(MemorySegment out, MemoryKind kind) {
    NixlFailure.check("create_xfer_dlist", TransferFunctions.createXferDlist(kind.code(), out));
    return out.get(ADDRESS, 0);
  }

  boolean isLive() {
    return state != State.RELEASED;
  }

  private MemorySegment pointer() {
    if (!isLive()) {
      throw new IllegalStateException("the NIXL request is released");
    }
    return request;
  }

  /** Starts it. 0: all bytes have arrived already; 1: under way; negative: it failed. */
  int post() {
    if (state != State.CREATED) {
      throw new IllegalStateException("the NIXL request was posted before");
    }
    state = State.POSTED;
    return note(
        agent.move(
            () -> TransferFunctions.postXferReq(agent.pointer(), pointer(), MemorySegment.NULL)));
  }

  /** 0: all bytes have arrived; 1: under way; negative: it failed and nothing moves any more. */
  int status() {
    pointer();
    if (state == State.POSTED) {
      note(agent.move(() -> TransferFunctions.getXferStatus(agent.pointer(), request)));
    }
    return status;
  }

  private int note(int answer) {
    status = answer;
    if (answer != NixlFailure.IN_PROGRESS) {
      state = State.ENDED;
    }
    return answer;
  }

  /** What NIXL measured of a request that has succeeded. */
  RequestTelemetry telemetry() {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment out = call.allocate(RequestTelemetry.BYTES, 8);
      int answer = TransferFunctions.getXferTelemetry(agent.pointer(), pointer(), out);
      if (answer != NixlFailure.SUCCESS) {
        return RequestTelemetry.NONE;
      }
      return new RequestTelemetry(
          out.get(JAVA_LONG, 8),
          out.get(JAVA_LONG, 16),
          out.get(JAVA_LONG, 24),
          out.get(JAVA_LONG, 32));
    }
  }

  /** Gives it back to NIXL, once it has ended or before it was posted. */
  void release() {
    if (state == State.POSTED) {
      throw new IllegalStateException("a NIXL request in flight cannot be released");
    }
    free();
  }

  /** Gives it back whatever it does; its memory is in use until the agent has been destroyed. */
  void abandon() {
    free();
  }

  private void free() {
    MemorySegment pointer = pointer();
    int answer = TransferFunctions.releaseXferReq(agent.pointer(), pointer);
    // An error means that it still exists: freeing the wrapper would leave it without an owner.
    if (answer == NixlFailure.SUCCESS) {
      TransferFunctions.destroyXferReq(pointer);
    }
    state = State.RELEASED;
    agent.disown();
  }
}
