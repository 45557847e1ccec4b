package dev.millrace.simulator;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;

/** What a real vLLM 0.32.0 sent. */
final class Recordings {
  private Recordings() {}

  static byte[] bytes(String name) {
    try (InputStream in = Recordings.class.getResourceAsStream("/vllm-0.32.0/" + name)) {
      if (in == null) {
        throw new AssertionError("no recording " + name);
      }
      return in.readAllBytes();
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  static String text(String name) {
    return new String(bytes(name), StandardCharsets.UTF_8);
  }

  /** The body of a recorded HTTP answer. */
  static String body(String name) {
    String whole = text(name).replace("\r\n", "\n");
    return whole.substring(whole.indexOf("\n\n") + 2);
  }
}
