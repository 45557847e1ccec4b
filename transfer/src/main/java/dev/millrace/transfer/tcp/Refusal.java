package dev.millrace.transfer.tcp;

import dev.millrace.transfer.ReadOutcome.Cause;
import java.nio.charset.StandardCharsets;

/** The payload of an ERROR frame: why the owner does not do what it was asked. */
record Refusal(Cause cause, String reason) {
  private static final byte OUT_OF_BOUNDS = 1;
  private static final byte CLOSED = 2;

  byte[] encode() {
    byte[] text = reason.getBytes(StandardCharsets.UTF_8);
    byte[] payload = new byte[1 + Math.min(text.length, FrameType.ERROR.mostBytes() - 1)];
    payload[0] = cause == Cause.OUT_OF_BOUNDS ? OUT_OF_BOUNDS : CLOSED;
    System.arraycopy(text, 0, payload, 1, payload.length - 1);
    return payload;
  }

  static ReadFailure decode(byte[] payload) {
    if (payload.length < 1) {
      return ReadFailure.corrupt("an empty ERROR frame");
    }
    String reason = new String(payload, 1, payload.length - 1, StandardCharsets.UTF_8);
    return switch (payload[0]) {
      case OUT_OF_BOUNDS -> ReadFailure.outOfBounds(reason);
      case CLOSED -> new ReadFailure(Cause.PEER_LOST, reason);
      default -> ReadFailure.corrupt("an ERROR frame of unknown kind " + payload[0]);
    };
  }
}
