package dev.millrace.config;

import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * By what a client may ask, and for what: a key, a token of somebody who is believed, or either. A
 * key is known to nobody but its client: only its hash is kept.
 *
 * @param name of whoever has it, for records and messages; no two keys have the same
 * @param sha256 of the key's bytes, 64 hexadecimal digits in lower case; empty: it has none
 * @param subject what its tokens say in {@code sub}; empty: it has none
 * @param models that it may ask for; empty: all
 * @param priority while it waits for a place, {@code -100..100}; the higher, the earlier
 * @param concurrent most exchanges at a time; empty: as many as routes take on
 * @param requestsPerMinute most requests on average, at least 1; empty: as many as come
 * @param tokensPerMinute most tokens of prompts and answers on average, at least 1; empty: as many
 *     as come
 */
public record AccessKey(
    String name,
    Optional<String> sha256,
    Optional<String> subject,
    Set<String> models,
    int priority,
    OptionalInt concurrent,
    OptionalInt requestsPerMinute,
    OptionalInt tokensPerMinute) {
  static final Pattern SHA256 = Pattern.compile("[0-9a-f]{64}");
  static final int MOST_PRIORITY = 100;
  static final int DEFAULT_PRIORITY = 0;
  static final int MOST_PER_MINUTE = 10_000_000;
  static final int MOST_TOKENS_PER_MINUTE = 2_000_000_000;

  public AccessKey {
    models = Set.copyOf(models);
    if (sha256.isEmpty() && subject.isEmpty()) {
      throw new IllegalArgumentException("key \"%s\": nothing shows it".formatted(name));
    }
    if (sha256.isPresent() && !SHA256.matcher(sha256.get()).matches()) {
      throw new IllegalArgumentException("key \"%s\": its hash is none".formatted(name));
    }
  }
}
