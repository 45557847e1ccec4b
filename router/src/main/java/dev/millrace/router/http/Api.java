package dev.millrace.router.http;

import org.jspecify.annotations.Nullable;

/** The generating endpoints, which go to a prefill and a decode worker. */
public enum Api {
  /** Chat completions. */
  CHAT_COMPLETIONS("/v1/chat/completions"),
  /** Text completions. */
  COMPLETIONS("/v1/completions");

  private final String path;

  Api(String path) {
    this.path = path;
  }

  /** The path, on the public port and on the engines alike. */
  public String path() {
    return path;
  }

  /** The endpoint at a path, or null if there is none. */
  public static @Nullable Api at(String path) {
    return switch (path) {
      case "/v1/chat/completions" -> CHAT_COMPLETIONS;
      case "/v1/completions" -> COMPLETIONS;
      default -> null;
    };
  }
}
