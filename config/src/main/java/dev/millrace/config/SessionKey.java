package dev.millrace.config;

/** Where requests say which session they are of. */
public sealed interface SessionKey {
  /**
   * In a header.
   *
   * @param name in whatever case
   */
  record Header(String name) implements SessionKey {}

  /**
   * In a text among the members of the body's object.
   *
   * @param name such as {@code user}, {@code prompt_cache_key} or {@code session_id}
   */
  record BodyField(String name) implements SessionKey {}
}
