package dev.millrace.transfer.nixl;

import java.nio.charset.StandardCharsets;
import java.security.InvalidKeyException;
import java.security.NoSuchAlgorithmException;
import java.security.SecureRandom;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * What all NIXL transports of a deployment share, and strangers do not know. Descriptions and
 * notifications are signed with it; it never goes over the wire.
 */
public final class SharedSecret {
  /** Length of a signature. */
  static final int SIGNATURE_BYTES = 32;

  /** Shorter ones could be guessed from a recorded description. */
  private static final int LEAST_BYTES = 16;

  private static final String ALGORITHM = "HmacSHA256";

  private final SecretKeySpec key;

  private SharedSecret(byte[] bytes) {
    this.key = new SecretKeySpec(bytes, ALGORITHM);
  }

  /**
   * A secret of these bytes.
   *
   * @throws IllegalArgumentException if they are fewer than 16
   */
  public static SharedSecret of(byte[] bytes) {
    if (bytes.length < LEAST_BYTES) {
      throw new IllegalArgumentException(
          "the transport secret has %d bytes, at least %d are needed; make one with: openssl rand -hex 32"
              .formatted(bytes.length, LEAST_BYTES));
    }
    return new SharedSecret(bytes);
  }

  /** A fresh secret, for transports that are made together. */
  public static SharedSecret random(SecureRandom random) {
    byte[] bytes = new byte[32];
    random.nextBytes(bytes);
    return new SharedSecret(bytes);
  }

  /**
   * Signs {@code length} bytes.
   *
   * @param purpose keeps signatures of one kind of message from being used for another
   */
  byte[] sign(String purpose, byte[] bytes, int length) {
    try {
      Mac mac = Mac.getInstance(ALGORITHM);
      mac.init(key);
      mac.update(purpose.getBytes(StandardCharsets.UTF_8));
      mac.update((byte) 0);
      mac.update(bytes, 0, length);
      return mac.doFinal();
    } catch (NoSuchAlgorithmException | InvalidKeyException e) {
      throw new AssertionError("every JDK has " + ALGORITHM, e);
    }
  }

  @Override
  public String toString() {
    return "SharedSecret[hidden]";
  }
}
