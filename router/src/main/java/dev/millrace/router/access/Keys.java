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
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The callers there are, by the hash of their keys.
 *
 * <p>A key is hashed before it is looked up, so how long a look takes says nothing of the keys that
 * there are.
 */
public final class Keys {
  private static final CharSequence API_KEY = HttpHeaders.createOptimized("x-api-key");
  private static final String BEARER = "Bearer ";

  private final @Nullable Map<String, Caller> byHash;
  private final List<AccessKey> listed;

  private Keys(@Nullable Map<String, Caller> byHash, List<AccessKey> listed) {
    this.byHash = byHash;
    this.listed = List.copyOf(listed);
  }

  /** Nobody is asked for a key. */
  public static Keys notAsked() {
    return new Keys(null, List.of());
  }

  /** Only these are let in. */
  public static Keys of(List<AccessKey> keys) {
    return notAsked().then(keys);
  }

  /** Only these are let in from now on; what those that stay as they are have open still counts. */
  public Keys then(List<AccessKey> keys) {
    Map<String, Caller> next = new HashMap<>();
    for (AccessKey key : keys) {
      Caller known = byHash != null && listed.contains(key) ? byHash.get(key.sha256()) : null;
      next.put(key.sha256(), known == null ? Caller.of(key) : known);
    }
    return new Keys(Map.copyOf(next), keys);
  }

  /** Whether the same keys are listed, with the same that is said of them. */
  public boolean isSameAs(Keys other) {
    return (byHash == null) == (other.byHash == null) && listed.equals(other.listed);
  }

  /** Who somebody is. */
  public sealed interface Identity {
    /** It has one of the keys, or is not asked for one. */
    record Known(Caller caller) implements Identity {}

    /** It has none of them. */
    record Stranger(Problem problem) implements Identity {}
  }

  /** Who sent these headers: {@code Authorization: Bearer KEY}, or {@code x-api-key: KEY}. */
  public Identity of(MultiMap headers) {
    if (byHash == null) {
      return new Identity.Known(Caller.ANYBODY);
    }
    String key = shown(headers);
    if (key == null) {
      return stranger("Send your key as \"Authorization: Bearer KEY\" or \"x-api-key: KEY\"");
    }
    Caller caller = byHash.get(hash(key));
    return caller == null
        ? stranger("There is no such key; whoever runs this service gives them out")
        : new Identity.Known(caller);
  }

  /** Everybody who has a key. */
  Collection<Caller> callers() {
    return byHash == null ? List.of() : byHash.values();
  }

  /** Takes keys out of what goes to an engine: they are the router's, not the engine's. */
  public void strip(MultiMap headers) {
    if (byHash != null) {
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
