package dev.millrace.transfer.tcp;

import java.security.InvalidKeyException;
import java.security.NoSuchAlgorithmException;
import java.security.SecureRandom;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * What all TCP transports of a deployment share, and strangers do not know. It never goes over the
 * wire.
 */
public final class Secret {
  /** Shorter ones could be guessed from a recorded greeting. */
  private static final int LEAST_BYTES = 16;

  private static final String ALGORITHM = "HmacSHA256";

  private final SecretKeySpec key;

  private Secret(byte[] bytes) {
    this.key = new SecretKeySpec(bytes, ALGORITHM);
  }

  /**
   * A secret of these bytes.
   *
   * @throws IllegalArgumentException if they are fewer than 16
   */
  public static Secret of(byte[] bytes) {
    if (bytes.length < LEAST_BYTES) {
      throw new IllegalArgumentException(
          "the transport secret has %d bytes, at least %d are needed; make one with: openssl rand -hex 32"
              .formatted(bytes.length, LEAST_BYTES));
    }
    return new Secret(bytes);
  }

  /** A fresh secret, for transports that are made together. */
  public static Secret random(SecureRandom random) {
    byte[] bytes = new byte[32];
    random.nextBytes(bytes);
    return new Secret(bytes);
  }

  /** HMAC-SHA256 of the parts under this secret. */
  byte[] sign(byte[]... parts) {
    try {
      Mac mac = Mac.getInstance(ALGORITHM);
      mac.init(key);
      for (byte[] part : parts) {
        mac.update(part);
      }
      return mac.doFinal();
    } catch (NoSuchAlgorithmException | InvalidKeyException e) {
      throw new AssertionError("every JDK has " + ALGORITHM, e);
    }
  }

  @Override
  public String toString() {
    return "Secret[hidden]";
  }
}
