package dev.millrace.transfer;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.InvalidKeyException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.SecureRandom;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * What all transports of a deployment share, and strangers do not know. What they tell each other
 * is signed with it; it never goes over the wire.
 */
public final class SharedSecret {
  /** Length of a signature. */
  public static final int SIGNATURE_BYTES = 32;

  /** Shorter ones could be guessed from one recorded signature. */
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
   * HMAC-SHA256 of the parts, one after the other.
   *
   * @param purpose keeps signatures of one kind of message from being used for another
   * @param parts what is signed, from each buffer's position to its limit. Where they meet is not
   *     signed: all but one must have a fixed length
   */
  public byte[] sign(String purpose, ByteBuffer... parts) {
    try {
      Mac mac = Mac.getInstance(ALGORITHM);
      mac.init(key);
      mac.update(purpose.getBytes(StandardCharsets.UTF_8));
      mac.update((byte) 0);
      for (ByteBuffer part : parts) {
        mac.update(part.duplicate());
      }
      return mac.doFinal();
    } catch (NoSuchAlgorithmException | InvalidKeyException e) {
      throw new AssertionError("every JDK has " + ALGORITHM, e);
    }
  }

  /** Whether {@link #sign} gives this signature. Takes the same time wherever they differ. */
  public boolean hasSigned(byte[] signature, String purpose, ByteBuffer... parts) {
    return MessageDigest.isEqual(signature, sign(purpose, parts));
  }

  @Override
  public String toString() {
    return "SharedSecret[hidden]";
  }
}
