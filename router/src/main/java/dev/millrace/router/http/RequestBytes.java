package dev.millrace.router.http;

/**
 * The bytes of a client's request, shared by all that is read of it, until no engine can be asked
 * any more: an answer may take minutes, and its prompt be long.
 */
final class RequestBytes {
  private static final byte[] NONE = {};

  private byte[] bytes;

  RequestBytes(byte[] bytes) {
    this.bytes = bytes;
  }

  byte[] get() {
    return bytes;
  }

  void letGo() {
    bytes = NONE;
  }
}
