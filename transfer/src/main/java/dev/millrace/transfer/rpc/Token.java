package dev.millrace.transfer.rpc;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import org.jspecify.annotations.Nullable;

/** What callers of an agent must know. */
public final class Token {
  /** Shorter ones could be guessed. */
  private static final int LEAST_CHARACTERS = 16;

  private static final String SCHEME = "Bearer ";

  private final String text;
  private final byte[] digest;

  private Token(String text) {
    this.text = text;
    this.digest = digest(text);
  }

  /**
   * A token.
   *
   * @throws IllegalArgumentException if it is too short or cannot stand in a header
   */
  public static Token of(String text) {
    if (text.length() < LEAST_CHARACTERS
        || !text.chars().allMatch(character -> character > ' ' && character < 0x7f)) {
      throw new IllegalArgumentException(
          "a token has at least %d characters, printable ASCII without spaces; make one with: openssl rand -hex 32"
              .formatted(LEAST_CHARACTERS));
    }
    return new Token(text);
  }

  /** The value of the {@code authorization} header. */
  String header() {
    return SCHEME + text;
  }

  /** Whether a header carries this token; takes as long for any wrong one. */
  boolean isIn(@Nullable String header) {
    return header != null
        && header.startsWith(SCHEME)
        && MessageDigest.isEqual(digest, digest(header.substring(SCHEME.length())));
  }

  /** Of equal length for all texts, so that not even the length can be told by time. */
  private static byte[] digest(String text) {
    try {
      return MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every JDK has SHA-256", e);
    }
  }

  @Override
  public String toString() {
    return "Token[hidden]";
  }
}
