package dev.millrace.router.access;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import com.github.benmanes.caffeine.cache.Expiry;
import dev.millrace.config.TokenIssuer;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.json.DecodeException;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import io.vertx.ext.auth.JWTOptions;
import io.vertx.ext.auth.User;
import io.vertx.ext.auth.authentication.TokenCredentials;
import io.vertx.ext.auth.jwt.JWTAuth;
import io.vertx.ext.auth.jwt.JWTAuthOptions;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Base64;
import java.util.List;
import java.util.Set;

/**
 * Tokens (JWT, RFC 7519) of an issuer that is believed. Shared by all event loops.
 *
 * <p>A token is believed if one of the issuer's keys has signed it, it names the issuer and this
 * audience, has begun and not ended, give or take {@link #LEEWAY_SECONDS}. It must say when it
 * ends. What was believed once is remembered until then, {@link #REMEMBERED} at most, for a
 * signature takes longer to check than all else that is done for a short request.
 *
 * <p>Algorithms are those of public keys: with {@code none}, or with {@code HS256} and a public key
 * for its secret, anybody could make tokens (RFC 8725, 2.1).
 */
public final class Tokens {
  private static final int LEEWAY_SECONDS = 30;
  private static final Duration REMEMBERED = Duration.ofMinutes(5);
  private static final int MOST_REMEMBERED = 10_000;

  /** A longer one does not fit into a header anyway. */
  private static final int MOST_CHARACTERS = 16 << 10;

  private static final Set<String> ALGORITHMS =
      Set.of(
          "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA");

  private static final Set<String> KEY_TYPES = Set.of("RSA", "EC", "OKP");

  private final TokenIssuer issuer;
  private final JsonObject keys;
  private final JWTAuth auth;
  private final Cache<String, Read.Of> believed;

  private Tokens(TokenIssuer issuer, JsonObject keys, JWTAuth auth, InstantSource clock) {
    this.issuer = issuer;
    this.keys = keys;
    this.auth = auth;
    this.believed =
        Caffeine.newBuilder().maximumSize(MOST_REMEMBERED).expireAfter(untilItEnds(clock)).build();
  }

  /**
   * Tokens of an issuer.
   *
   * @param keys what its file of keys holds
   * @param clock for how long a token may be remembered
   * @throws IllegalArgumentException if there is none that can be used, and what to do about it
   */
  public static Tokens of(Vertx vertx, TokenIssuer issuer, String keys, InstantSource clock) {
    JsonObject set = object(issuer, keys);
    List<JsonObject> usable =
        set.getJsonArray("keys", new JsonArray()).stream()
            .filter(JsonObject.class::isInstance)
            .map(JsonObject.class::cast)
            .filter(key -> KEY_TYPES.contains(key.getString("kty")))
            .toList();
    if (usable.isEmpty()) {
      throw new IllegalArgumentException(
          "%s holds no public key (RSA, EC or OKP); it must be the issuer's {\"keys\": […]}"
              .formatted(issuer.jwksFile()));
    }
    JWTOptions options =
        new JWTOptions()
            .setIssuer(issuer.issuer())
            .addAudience(issuer.audience())
            .setLeeway(LEEWAY_SECONDS);
    return new Tokens(
        issuer,
        set,
        JWTAuth.create(vertx, new JWTAuthOptions().setJwks(usable).setJWTOptions(options)),
        clock);
  }

  private static JsonObject object(TokenIssuer issuer, String keys) {
    try {
      return new JsonObject(keys);
    } catch (DecodeException e) {
      throw new IllegalArgumentException(
          "%s is not JSON; it must be the issuer's {\"keys\": […]}".formatted(issuer.jwksFile()),
          e);
    }
  }

  /** What a token says of whoever shows it. */
  sealed interface Read {
    /** Who it is. */
    record Of(String subject, Instant ends) implements Read {}

    /** Nothing that is believed. */
    record Refused(String why) implements Read {}
  }

  /** Whether it has the form of a token; keys do not. */
  static boolean isOne(String shown) {
    int first = shown.indexOf('.');
    int last = shown.lastIndexOf('.');
    return first > 0 && last > first && last == shown.indexOf('.', first + 1);
  }

  /**
   * Reads a token.
   *
   * @param hash of it, by which it is remembered
   */
  Read read(String token, String hash) {
    Read.Of known = believed.getIfPresent(hash);
    if (known != null) {
      return known;
    }
    if (token.length() > MOST_CHARACTERS || !isOfAnAlgorithm(token)) {
      return new Read.Refused("its algorithm is not one of " + String.join(", ", sorted()));
    }
    Future<User> user = auth.authenticate(new TokenCredentials(token));
    if (!user.succeeded()) {
      return new Read.Refused(user.isComplete() ? shortened(user.cause()) : "it is not readable");
    }
    JsonObject claims = user.result().attributes().getJsonObject("accessToken", new JsonObject());
    return claims.getValue("exp") instanceof Number ends
            && claims.getValue("sub") instanceof String subject
        ? remember(hash, new Read.Of(subject, Instant.ofEpochSecond(ends.longValue())))
        : new Read.Refused("it does not say who it is of and when it ends (\"sub\", \"exp\")");
  }

  private Read.Of remember(String hash, Read.Of read) {
    believed.put(hash, read);
    return read;
  }

  private static boolean isOfAnAlgorithm(String token) {
    try {
      byte[] header = Base64.getUrlDecoder().decode(token.substring(0, token.indexOf('.')));
      JsonObject read = new JsonObject(new String(header, StandardCharsets.UTF_8));
      return read.getValue("alg") instanceof String algorithm && ALGORITHMS.contains(algorithm);
    } catch (IllegalArgumentException | DecodeException e) {
      return false;
    }
  }

  private static List<String> sorted() {
    return ALGORITHMS.stream().sorted().toList();
  }

  private static String shortened(Throwable cause) {
    String text = String.valueOf(cause.getMessage());
    return text.length() <= 100 ? text : text.substring(0, 100) + "…";
  }

  private static Expiry<String, Read.Of> untilItEnds(InstantSource clock) {
    return Expiry.creating((hash, read) -> {
      Duration left = Duration.between(clock.instant(), read.ends());
      return left.compareTo(REMEMBERED) < 0 ? left : REMEMBERED;
    });
  }

  /** Whether the same are believed. */
  boolean areSameAs(Tokens other) {
    return issuer.equals(other.issuer) && keys.equals(other.keys);
  }
}
