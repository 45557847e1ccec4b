package dev.millrace.transfer.tcp;

import dev.millrace.transfer.SharedSecret;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.security.SecureRandom;
import java.util.UUID;

/**
 * The greeting: both ends prove that they know the secret without showing it.
 *
 * <pre>
 * reader -> owner   "MRTC" version:2 0:2 nonce:32
 * owner  -> reader  "MRTS" version:2 0:2 nonce:32 instance:16
 * reader -> owner   HMAC-SHA256(secret, "reader" both nonces, instance)
 * owner  -> reader  HMAC-SHA256(secret, "owner"  both nonces, instance)
 * </pre>
 *
 * <p>The side that connects proves itself first, so that a stranger learns nothing that it could
 * try secrets against. A stranger can make the owner read 72 bytes at most.
 */
final class Authentication {
  private static final int READER_MAGIC = 0x4d525443; // "MRTC"
  private static final int OWNER_MAGIC = 0x4d525453; // "MRTS"
  private static final short VERSION = 1;
  private static final int NONCE_BYTES = 32;
  private static final int INSTANCE_BYTES = 16;
  private static final String READER = "millrace tcp reader";
  private static final String OWNER = "millrace tcp owner";

  private Authentication() {}

  /** The owner's part. Throws unless the other end knows the secret. */
  static void demand(Wire wire, SharedSecret secret, UUID instance, SecureRandom random)
      throws IOException {
    // The magic is looked at before anything else is awaited: most strangers speak HTTP or TLS.
    ByteBuffer magic = ByteBuffer.allocate(4);
    wire.readFully(magic);
    if (magic.getInt() != READER_MAGIC) {
      throw ReadFailure.corrupt("it does not speak the protocol of this transport");
    }
    ByteBuffer rest = ByteBuffer.allocate(4 + NONCE_BYTES);
    wire.readFully(rest);
    short version = rest.getShort();
    if (version != VERSION) {
      throw ReadFailure.corrupt("it speaks version %d, not %d".formatted(version, VERSION));
    }
    ByteBuffer readerNonce = part(rest.position(4), NONCE_BYTES);
    ByteBuffer ownerNonce = nonce(random);
    ByteBuffer instanceBytes = bytes(instance);
    ByteBuffer hello = ByteBuffer.allocate(8 + NONCE_BYTES + INSTANCE_BYTES);
    hello.putInt(OWNER_MAGIC).putShort(VERSION).putShort((short) 0);
    wire.writeFully(hello.put(ownerNonce.duplicate()).put(instanceBytes.duplicate()).flip());

    ByteBuffer proof = ByteBuffer.allocate(SharedSecret.SIGNATURE_BYTES);
    wire.readFully(proof);
    if (!secret.hasSigned(proof.array(), READER, readerNonce, ownerNonce, instanceBytes)) {
      throw ReadFailure.corrupt("its secret is not ours");
    }
    wire.writeFully(ByteBuffer.wrap(secret.sign(OWNER, readerNonce, ownerNonce, instanceBytes)));
  }

  /** The reader's part. Throws unless the other end knows the secret and is {@code instance}. */
  static void prove(Wire wire, SharedSecret secret, UUID instance, SecureRandom random)
      throws IOException {
    ByteBuffer readerNonce = nonce(random);
    ByteBuffer hello = ByteBuffer.allocate(8 + NONCE_BYTES);
    hello.putInt(READER_MAGIC).putShort(VERSION).putShort((short) 0);
    wire.writeFully(hello.put(readerNonce.duplicate()).flip());

    ByteBuffer answer = ByteBuffer.allocate(8 + NONCE_BYTES + INSTANCE_BYTES);
    try {
      wire.readFully(answer);
    } catch (EOFException e) {
      throw refusedBy("closed the connection before it answered; has it reached its limits?", e);
    }
    if (answer.getInt() != OWNER_MAGIC) {
      throw ReadFailure.corrupt("what listens there is not a tcp transport");
    }
    short version = answer.getShort();
    if (version != VERSION) {
      throw ReadFailure.corrupt("it speaks version %d, not %d".formatted(version, VERSION));
    }
    ByteBuffer ownerNonce = part(answer.position(8), NONCE_BYTES);
    ByteBuffer instanceBytes = bytes(instance);
    if (!part(answer.position(8 + NONCE_BYTES), INSTANCE_BYTES).equals(instanceBytes)) {
      throw new IOException(
          "another process listens there than the one that described itself (restarted?)");
    }
    wire.writeFully(ByteBuffer.wrap(secret.sign(READER, readerNonce, ownerNonce, instanceBytes)));

    ByteBuffer proof = ByteBuffer.allocate(SharedSecret.SIGNATURE_BYTES);
    try {
      wire.readFully(proof);
    } catch (EOFException e) {
      throw refusedBy("refused our secret; both sides must be given the same one", e);
    }
    if (!secret.hasSigned(proof.array(), OWNER, readerNonce, ownerNonce, instanceBytes)) {
      throw ReadFailure.corrupt("its secret is not ours");
    }
  }

  private static IOException refusedBy(String what, EOFException cause) {
    return new IOException("it " + what, cause);
  }

  private static ByteBuffer nonce(SecureRandom random) {
    byte[] nonce = new byte[NONCE_BYTES];
    random.nextBytes(nonce);
    return ByteBuffer.wrap(nonce);
  }

  private static ByteBuffer bytes(UUID id) {
    return ByteBuffer.allocate(INSTANCE_BYTES)
        .putLong(id.getMostSignificantBits())
        .putLong(id.getLeastSignificantBits())
        .flip();
  }

  /** The next bytes of {@code from}. */
  private static ByteBuffer part(ByteBuffer from, int count) {
    return from.slice(from.position(), count);
  }
}
