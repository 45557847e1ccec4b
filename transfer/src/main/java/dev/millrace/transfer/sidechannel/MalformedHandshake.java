package dev.millrace.transfer.sidechannel;

/** Bytes from a side channel are not what they should be; the message says which part and why. */
public final class MalformedHandshake extends RuntimeException {
  private static final long serialVersionUID = 1;

  public MalformedHandshake(String message) {
    super(message);
  }

  public MalformedHandshake(String message, Throwable cause) {
    super(message, cause);
  }
}
