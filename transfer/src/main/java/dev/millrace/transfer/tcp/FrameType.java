package dev.millrace.transfer.tcp;

/** Kinds of frames, with the largest payload that each may announce. */
enum FrameType {
  HELLO(1, TcpTransportOptions.MOST_NAME_BYTES),
  READ(2, Batch.MOST_RUNS * Batch.RUN_BYTES),
  DATA(3, 256 << 10),
  ERROR(4, 1 << 10),
  NOTIFY(5, 64 << 10),
  ACK(6, 0);

  private final byte code;
  private final int mostBytes;

  FrameType(int code, int mostBytes) {
    this.code = (byte) code;
    this.mostBytes = mostBytes;
  }

  int mostBytes() {
    return mostBytes;
  }

  byte code() {
    return code;
  }

  static FrameType of(byte code) throws ReadFailure {
    return switch (code) {
      case 1 -> HELLO;
      case 2 -> READ;
      case 3 -> DATA;
      case 4 -> ERROR;
      case 5 -> NOTIFY;
      case 6 -> ACK;
      default -> throw ReadFailure.corrupt("unknown frame type " + code);
    };
  }
}
