package dev.millrace.router.http;

import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * The id that ties an exchange's legs, logs and records together.
 *
 * <p>A client's own {@code X-Request-Id} is kept if it is harmless: engines make file-like ids of
 * it, and it lands in logs. Both legs carry the same one; vLLM's push mode matches legs by it.
 */
public final class RequestId {
  /** The header, in the form that Vert.x looks up fastest. */
  public static final String HEADER = "x-request-id";

  private static final int LONGEST = 128;
  private static final char[] HEX = "0123456789abcdef".toCharArray();

  private RequestId() {}

  /** The client's id if it is of {@code [A-Za-z0-9_-]{1,128}}, else a fresh one. */
  public static String keptOrFresh(@Nullable String offered, RandomGenerator random) {
    return offered != null && isHarmless(offered) ? offered : fresh(random);
  }

  private static boolean isHarmless(String id) {
    if (id.isEmpty() || id.length() > LONGEST) {
      return false;
    }
    for (int i = 0; i < id.length(); i++) {
      char c = id.charAt(i);
      boolean letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
      boolean fine = letter || (c >= '0' && c <= '9') || c == '-' || c == '_';
      if (!fine) {
        return false;
      }
    }
    return true;
  }

  private static String fresh(RandomGenerator random) {
    char[] id = new char[32];
    long bits = random.nextLong();
    for (int i = 0; i < 16; i++, bits >>>= 4) {
      id[i] = HEX[(int) bits & 15];
    }
    bits = random.nextLong();
    for (int i = 16; i < 32; i++, bits >>>= 4) {
      id[i] = HEX[(int) bits & 15];
    }
    return new String(id);
  }
}
