package dev.millrace.router.access;

import dev.millrace.config.AccessKey;
import dev.millrace.router.http.Problem;
import io.vertx.core.MultiMap;
import io.vertx.core.http.HttpHeaders;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Collection;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The callers there are, by the hash of their keys or by the subject of their tokens.
 *
 * <p>A key is hashed before it is looked up, so how long a look takes says nothing of the keys that
 * there are.
 */
public final class Keys {
  private static final CharSequence API_KEY = HttpHeaders.createOptimized("x-api-key");
  private static final String BEARER = "Bearer ";

  private final @Nullable Map<AccessKey, Caller> callers;
  private final Map<String, Caller> byHash = new HashMap<>();
  private final Map<String, Caller> bySubject = new HashMap<>();
  private final @Nullable Tokens tokens;

  private Keys(@Nullable Map<AccessKey, Caller> callers, @Nullable Tokens tokens) {
    this.callers = callers;
    this.tokens = tokens;
    if (callers != null) {
      callers.forEach((key, caller) -> {
        key.sha256().ifPresent(hash -> byHash.put(hash, caller));
        key.subject().ifPresent(subject -> bySubject.put(subject, caller));
      });
    }
  }

  /** Nobody is asked for a key. */
  public static Keys notAsked() {
    return new Keys(null, null);
  }

  /** Only these are let in. */
  public static Keys of(List<AccessKey> keys) {
    return notAsked().then(keys, null);
  }

  /**
   * Only these are let in from now on; what those that stay as they are have open still counts.
   *
   * @param newTokens that are believed; null: none are
   */
  public Keys then(List<AccessKey> keys, @Nullable Tokens newTokens) {
    Map<AccessKey, Caller> next = new LinkedHashMap<>();
    for (AccessKey key : keys) {
      Caller known = callers == null ? null : callers.get(key);
      next.put(key, known == null ? Caller.of(key) : known);
    }
    boolean same = tokens != null && newTokens != null && tokens.areSameAs(newTokens);
    return new Keys(next, same ? tokens : newTokens);
  }

  /** Whether the same keys are listed, with the same that is said of them. */
  public boolean isSameAs(Keys other) {
    return (callers == null
            ? other.callers == null
            : other.callers != null && callers.keySet().equals(other.callers.keySet()))
        && tokens == other.tokens;
  }

  /** Who somebody is. */
  public sealed interface Identity {
    /** It has one of the keys, or a token of one that is listed, or is not asked for any. */
    record Known(Caller caller) implements Identity {}

    /** It has none of them. */
    record Stranger(Problem problem) implements Identity {}
  }

  /**
   * Who sent these headers: {@code Authorization: Bearer KEY-OR-TOKEN}, or {@code x-api-key: KEY}.
   */
  public Identity of(MultiMap headers) {
    if (callers == null) {
      return new Identity.Known(Caller.ANYBODY);
    }
    String key = shown(headers);
    if (key == null) {
      return stranger("Send your key as \"Authorization: Bearer KEY\" or \"x-api-key: KEY\"");
    }
    String hash = hash(key);
    Caller caller = byHash.get(hash);
    if (caller != null) {
      return new Identity.Known(caller);
    }
    return tokens != null && Tokens.isOne(key)
        ? ofToken(tokens.read(key, hash))
        : stranger("There is no such key; whoever runs this service gives them out");
  }

  private Identity ofToken(Tokens.Read read) {
    return switch (read) {
      case Tokens.Read.Refused(String why) -> stranger("The token is not believed: " + why);
      case Tokens.Read.Of(String subject, _) -> {
        Caller caller = bySubject.get(subject);
        yield caller == null
            ? stranger("The token is good, but its subject is not listed here")
            : new Identity.Known(caller);
      }
    };
  }

  /** Everybody who is listed. */
  Collection<Caller> callers() {
    return callers == null ? List.of() : callers.values();
  }

  /** Takes keys out of what goes to an engine: they are the router's, not the engine's. */
  public void strip(MultiMap headers) {
    if (callers != null) {
      headers.remove(HttpHeaders.AUTHORIZATION);
      headers.remove(API_KEY);
    }
  }

  private static @Nullable String shown(MultiMap headers) {
    @Nullable String authorization = headers.get(HttpHeaders.AUTHORIZATION);
    if (authorization != null && authorization.regionMatches(true, 0, BEARER, 0, BEARER.length())) {
      return authorization.substring(BEARER.length()).strip();
    }
    return headers.get(API_KEY);
  }

  /** SHA-256, as {@code sha256} in a file of keys has it. */
  public static String hash(String key) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      return HexFormat.of().formatHex(digest.digest(key.getBytes(StandardCharsets.UTF_8)));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }

  private static Identity stranger(String message) {
    return new Identity.Stranger(Problem.ofClient(401, "invalid_api_key", message));
  }
}
