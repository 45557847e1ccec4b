package dev.millrace.router.access;

import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.Signature;
import java.security.interfaces.ECPublicKey;
import java.security.spec.ECGenParameterSpec;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.function.UnaryOperator;

/** An issuer of tokens with a key of its own, P-256. */
public final class SignedTokens {
  /** What it calls itself. */
  public static final String ISSUER = "https://id.example.com";

  /** Whom its tokens are for. */
  public static final String AUDIENCE = "millrace";

  private static final int COORDINATE_BYTES = 32;

  private final KeyPair pair;

  /** An issuer whose key nobody else has. */
  public SignedTokens() throws GeneralSecurityException {
    KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
    generator.initialize(new ECGenParameterSpec("secp256r1"));
    this.pair = generator.generateKeyPair();
  }

  /** Its public key, as a JSON Web Key Set. */
  public String jwks() {
    ECPublicKey key = (ECPublicKey) pair.getPublic();
    return new JsonObject()
        .put(
            "keys",
            new JsonArray()
                .add(
                    new JsonObject()
                        .put("kty", "EC")
                        .put("crv", "P-256")
                        .put("alg", "ES256")
                        .put("kid", "k")
                        .put("x", coordinate(key.getW().getAffineX()))
                        .put("y", coordinate(key.getW().getAffineY()))))
        .encode();
  }

  private static String coordinate(BigInteger number) {
    byte[] bytes = number.toByteArray();
    byte[] fixed = new byte[COORDINATE_BYTES];
    int size = Math.min(bytes.length, COORDINATE_BYTES);
    System.arraycopy(bytes, bytes.length - size, fixed, COORDINATE_BYTES - size, size);
    return base64(fixed);
  }

  /** What a token of an hour says. */
  public static JsonObject claims(String subject) {
    return new JsonObject()
        .put("iss", ISSUER)
        .put("aud", AUDIENCE)
        .put("sub", subject)
        .put("exp", Instant.now().plus(Duration.ofHours(1)).getEpochSecond());
  }

  /** A token. */
  public String token(JsonObject claims) throws GeneralSecurityException {
    return token(claims, UnaryOperator.identity());
  }

  /** A token with another header. */
  public String token(JsonObject claims, UnaryOperator<JsonObject> header)
      throws GeneralSecurityException {
    JsonObject head = header.apply(new JsonObject().put("alg", "ES256").put("kid", "k"));
    String signed = base64(head.encode()) + "." + base64(claims.encode());
    Signature signature = Signature.getInstance("SHA256withECDSAinP1363Format");
    signature.initSign(pair.getPrivate());
    signature.update(signed.getBytes(StandardCharsets.US_ASCII));
    return signed + "." + base64(signature.sign());
  }

  /** The same token without what signs it. */
  public static String unsigned(String token) {
    return token.substring(0, token.lastIndexOf('.') + 1);
  }

  /** The same token of somebody else. */
  public static String forged(String token, JsonObject claims) {
    String header = token.substring(0, token.indexOf('.'));
    return header + "." + base64(claims.encode()) + token.substring(token.lastIndexOf('.'));
  }

  private static String base64(String text) {
    return base64(text.getBytes(StandardCharsets.UTF_8));
  }

  private static String base64(byte[] bytes) {
    return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
  }
}
