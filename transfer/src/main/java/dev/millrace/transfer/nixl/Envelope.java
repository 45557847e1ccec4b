package dev.millrace.transfer.nixl;

import dev.millrace.transfer.SharedSecret;
import dev.millrace.transfer.TransferException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * How a transport describes itself to others of its deployment: NIXL's metadata, which must not
 * reach NIXL unless it is exactly what NIXL made, inside a signature.
 *
 * <pre>
 * "MRNX" format:2 0:2  label:1+n  agent:1+n  version:1+n  count:4 (address:8 bytes:8)*  metadata:4+n  HMAC-SHA256:32
 * </pre>
 *
 * <p>The signature covers all before it and is checked first, so that nothing else is ever parsed
 * of what a stranger wrote. Metadata is a right to read and write the memory it names: treat a
 * description as a secret.
 */
final class Envelope {
  /** What a description may have at most, as {@code BlockTransport.describe} promises. */
  static final int MOST_BYTES = 64 << 10;

  private static final int MAGIC = 0x4d524e58; // "MRNX"
  private static final int FORMAT = 1;
  private static final int LEAST_BYTES = 8 + 2 + 2 + 2 + 4 + 4 + 1 + SharedSecret.SIGNATURE_BYTES;
  private static final String PURPOSE = "millrace nixl description";

  /** Who describes itself. */
  record Identity(String label, String agentName, String nixlVersion) {}

  private final String label;
  private final String agentName;
  private final String nixlVersion;
  private final List<Region> regions;
  private final byte[] metadata;

  Envelope(Identity identity, List<Region> regions, byte[] metadata) {
    this.label = identity.label();
    this.agentName = identity.agentName();
    this.nixlVersion = identity.nixlVersion();
    this.regions = List.copyOf(regions);
    this.metadata = metadata;
  }

  /** What the transport calls itself. */
  String label() {
    return label;
  }

  String nixlVersion() {
    return nixlVersion;
  }

  String agentName() {
    return agentName;
  }

  List<Region> regions() {
    return regions;
  }

  byte[] metadata() {
    return metadata;
  }

  /** The signed bytes. */
  byte[] seal(SharedSecret secret) {
    byte[] name = label.getBytes(StandardCharsets.UTF_8);
    byte[] version = nixlVersion.getBytes(StandardCharsets.UTF_8);
    byte[] agent = agentName.getBytes(StandardCharsets.UTF_8);
    int bytes =
        8
            + 3
            + name.length
            + agent.length
            + version.length
            + 4
            + 16 * regions.size()
            + 4
            + metadata.length;
    if (bytes + SharedSecret.SIGNATURE_BYTES > MOST_BYTES) {
      throw new TransferException(
          "the description of %d regions would have %d bytes, at most %d can travel: register fewer, larger pieces of memory"
              .formatted(regions.size(), bytes + SharedSecret.SIGNATURE_BYTES, MOST_BYTES));
    }
    ByteBuffer out = ByteBuffer.allocate(bytes + SharedSecret.SIGNATURE_BYTES);
    out.putInt(MAGIC).putShort((short) FORMAT).putShort((short) 0);
    out.put((byte) name.length).put(name);
    out.put((byte) agent.length).put(agent);
    out.put((byte) version.length).put(version);
    out.putInt(regions.size());
    regions.forEach(region -> out.putLong(region.address()).putLong(region.bytes()));
    out.putInt(metadata.length).put(metadata);
    out.put(secret.sign(PURPOSE, ByteBuffer.wrap(out.array(), 0, bytes)));
    return out.array();
  }

  /**
   * Reads signed bytes.
   *
   * @throws TransferException if they are anything else than what {@link #seal} gave under the same
   *     secret
   */
  static Envelope open(byte[] sealed, SharedSecret secret) {
    if (sealed.length < LEAST_BYTES || sealed.length > MOST_BYTES) {
      throw new TransferException(
          "the description has %d bytes, which no NIXL transport's has: it was cut short, or is another transport's"
              .formatted(sealed.length));
    }
    ByteBuffer in = ByteBuffer.wrap(sealed);
    if (in.getInt() != MAGIC) {
      throw new TransferException("the description is not one of a NIXL transport");
    }
    int signed = sealed.length - SharedSecret.SIGNATURE_BYTES;
    byte[] signature = new byte[SharedSecret.SIGNATURE_BYTES];
    in.get(signed, signature);
    if (!secret.hasSigned(signature, PURPOSE, ByteBuffer.wrap(sealed, 0, signed))) {
      throw new TransferException(
          "the signature of the description, which says that it is %s's, is wrong: it was altered on its way, or made under another secret (both sides must be given the same one)"
              .formatted(claimedLabel(sealed)));
    }
    in.limit(signed);
    try {
      return parse(in);
    } catch (BufferUnderflowException | IllegalArgumentException e) {
      throw new TransferException("the description is signed but malformed", e);
    }
  }

  /** For an error message only. */
  private static String claimedLabel(byte[] sealed) {
    int length = Math.min(sealed[8] & 0xff, sealed.length - 9);
    String claimed = new String(sealed, 9, length, StandardCharsets.UTF_8);
    return claimed.chars().allMatch(c -> c >= ' ' && c < 0x7f) ? '"' + claimed + '"' : "somebody";
  }

  private static Envelope parse(ByteBuffer in) {
    int format = in.getShort();
    if (format != FORMAT) {
      throw new TransferException(
          "the description has format %d, this side knows %d: run the same release of Millrace on both sides"
              .formatted(format, FORMAT));
    }
    in.getShort();
    Identity identity = new Identity(string(in), string(in), string(in));
    int count = in.getInt();
    if (count < 0 || count > in.remaining() / 16) {
      throw new IllegalArgumentException(count + " regions");
    }
    List<Region> regions = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      regions.add(new Region(in.getLong(), in.getLong()));
    }
    int metadataBytes = in.getInt();
    if (metadataBytes < 1 || metadataBytes != in.remaining()) {
      throw new IllegalArgumentException(metadataBytes + " bytes of metadata");
    }
    byte[] metadata = new byte[metadataBytes];
    in.get(metadata);
    return new Envelope(identity, regions, metadata);
  }

  private static String string(ByteBuffer in) {
    byte[] bytes = new byte[in.get() & 0xff];
    in.get(bytes);
    return new String(bytes, StandardCharsets.UTF_8);
  }
}
