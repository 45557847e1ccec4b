package dev.millrace.transfer.nixl;

/** A notification as NIXL delivers it. */
final class RawNotification {
  private final String sender;
  private final byte[] payload;

  RawNotification(String sender, byte[] payload) {
    this.sender = sender;
    this.payload = payload;
  }

  /** What the sender calls itself; nothing proves it. */
  String sender() {
    return sender;
  }

  byte[] payload() {
    return payload;
  }
}
