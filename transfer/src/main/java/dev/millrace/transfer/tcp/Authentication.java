package dev.millrace.transfer.tcp;

import static java.nio.charset.StandardCharsets.US_ASCII;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
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
  private static final int PROOF_BYTES = 32;
  private static final byte[] READER = "millrace tcp reader".getBytes(US_ASCII);
  private static final byte[] OWNER = "millrace tcp owner".getBytes(US_ASCII);

  private Authentication() {}

  /** The owner's part. Throws unless the other end knows the secret. */
  static void demand(Wire wire, Secret secret, UUID instance, SecureRandom random)
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
    byte[] readerNonce = bytes(rest.position(4), NONCE_BYTES);
    byte[] ownerNonce = nonce(random);
    byte[] instanceBytes = bytes(instance);
    ByteBuffer hello = ByteBuffer.allocate(8 + NONCE_BYTES + 16);
    hello.putInt(OWNER_MAGIC).putShort(VERSION).putShort((short) 0);
    wire.writeFully(hello.put(ownerNonce).put(instanceBytes).flip());

    ByteBuffer proof = ByteBuffer.allocate(PROOF_BYTES);
    wire.readFully(proof);
    byte[] expected = secret.sign(READER, readerNonce, ownerNonce, instanceBytes);
    if (!MessageDigest.isEqual(expected, proof.array())) {
      throw ReadFailure.corrupt("its secret is not ours");
    }
    wire.writeFully(ByteBuffer.wrap(secret.sign(OWNER, readerNonce, ownerNonce, instanceBytes)));
  }

  /** The reader's part. Throws unless the other end knows the secret and is {@code instance}. */
  static void prove(Wire wire, Secret secret, UUID instance, SecureRandom random)
      throws IOException {
    byte[] readerNonce = nonce(random);
    ByteBuffer hello = ByteBuffer.allocate(8 + NONCE_BYTES);
    hello.putInt(READER_MAGIC).putShort(VERSION).putShort((short) 0);
    wire.writeFully(hello.put(readerNonce).flip());

    ByteBuffer answer = ByteBuffer.allocate(8 + NONCE_BYTES + 16);
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
    byte[] ownerNonce = bytes(answer.position(8), NONCE_BYTES);
    byte[] instanceBytes = bytes(instance);
    if (!MessageDigest.isEqual(bytes(answer, 16), instanceBytes)) {
      throw new IOException(
          "another process listens there than the one that described itself (restarted?)");
    }
    wire.writeFully(ByteBuffer.wrap(secret.sign(READER, readerNonce, ownerNonce, instanceBytes)));

    ByteBuffer proof = ByteBuffer.allocate(PROOF_BYTES);
    try {
      wire.readFully(proof);
    } catch (EOFException e) {
      throw refusedBy("refused our secret; both sides must be given the same one", e);
    }
    byte[] expected = secret.sign(OWNER, readerNonce, ownerNonce, instanceBytes);
    if (!MessageDigest.isEqual(expected, proof.array())) {
      throw ReadFailure.corrupt("its secret is not ours");
    }
  }

  private static IOException refusedBy(String what, EOFException cause) {
    return new IOException("it " + what, cause);
  }

  private static byte[] nonce(SecureRandom random) {
    byte[] nonce = new byte[NONCE_BYTES];
    random.nextBytes(nonce);
    return nonce;
  }

  private static byte[] bytes(UUID id) {
    return ByteBuffer.allocate(16)
        .putLong(id.getMostSignificantBits())
        .putLong(id.getLeastSignificantBits())
        .array();
  }

  private static byte[] bytes(ByteBuffer from, int count) {
    byte[] bytes = new byte[count];
    from.get(bytes);
    return bytes;
  }
}
