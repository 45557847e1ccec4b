package dev.millrace.transfer.tcp;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.millrace.transfer.TransferException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.util.UUID;

/**
 * What a peer must know to connect: where, and which process it will find there.
 *
 * @param instance drawn at random by each transport, so that one that was restarted on the same
 *     port is not taken for the one that described itself
 */
record Description(UUID instance, String name, String host, int port) {
  private static final int MAGIC = 0x4d525444; // "MRTD"
  private static final byte VERSION = 1;

  byte[] encode() {
    byte[] nameBytes = name.getBytes(UTF_8);
    byte[] hostBytes = host.getBytes(UTF_8);
    ByteBuffer out = ByteBuffer.allocate(4 + 1 + 16 + 2 + 2 + nameBytes.length + hostBytes.length);
    out.putInt(MAGIC).put(VERSION);
    out.putLong(instance.getMostSignificantBits()).putLong(instance.getLeastSignificantBits());
    out.putShort((short) port);
    out.put((byte) hostBytes.length).put(hostBytes);
    out.put((byte) nameBytes.length).put(nameBytes);
    return out.array();
  }

  static Description decode(byte[] bytes) {
    ByteBuffer in = ByteBuffer.wrap(bytes);
    try {
      if (in.getInt() != MAGIC) {
        throw new TransferException(
            "the peer's description (%d bytes) is not one of the tcp transport; do both sides use tcp?"
                .formatted(bytes.length));
      }
      byte version = in.get();
      if (version != VERSION) {
        throw new TransferException(
            "the peer's description has version %d, this side reads version %d"
                .formatted(version, VERSION));
      }
      UUID instance = new UUID(in.getLong(), in.getLong());
      int port = Short.toUnsignedInt(in.getShort());
      String host = text(in);
      return new Description(instance, text(in), host, port);
    } catch (BufferUnderflowException e) {
      throw new TransferException(
          "the peer's description is cut off after %d bytes".formatted(bytes.length), e);
    }
  }

  private static String text(ByteBuffer in) {
    byte[] bytes = new byte[Byte.toUnsignedInt(in.get())];
    in.get(bytes);
    return new String(bytes, UTF_8);
  }

  String address() {
    return host + ":" + port;
  }
}
