package dev.millrace.transfer.sidechannel;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.msgpack.core.MessageBufferPacker;
import org.msgpack.core.MessagePack;

/**
 * The messages of the side channel as bytes, the same bytes that vLLM's msgspec makes.
 *
 * <p>Decoding goes by name as msgspec does: unknown keys are ignored, order does not matter, a
 * missing required key is a {@link MalformedHandshake}. No input makes a decoder allocate more than
 * a small multiple of its own size.
 */
public final class HandshakeCodec {
  /** vLLM's answers have a few kilobytes; 80 layers of separate tensors stay far below this. */
  static final int MOST_BYTES = 4 << 20;

  private static final byte[] GET_META = "get_meta_msg".getBytes(StandardCharsets.US_ASCII);

  private HandshakeCodec() {}

  /** A request for a rank's metadata, in the form that this version's listener expects. */
  public static byte[] encodeRequest(RankId rank, ConnectorVersion version) {
    return encode(out -> {
      boolean both = version.requestForm() == ConnectorVersion.RequestForm.BOTH_RANKS;
      out.packArrayHeader(both ? 3 : 2);
      out.packBinaryHeader(GET_META.length).writePayload(GET_META);
      if (both) {
        out.packInt(rank.pipeline());
      }
      out.packInt(rank.tensor());
    });
  }

  /**
   * A request as it came.
   *
   * @param rank who is asked for; without a pipeline rank it is 0
   * @param form which ranks it names
   * @param meant whether it begins as a request for metadata does
   */
  record Request(RankId rank, ConnectorVersion.RequestForm form, boolean meant) {}

  /** Reads a request in either form; without a pipeline rank it is 0. */
  public static RankId decodeRequest(byte[] request) {
    Request read = readRequest(request);
    if (!read.meant()) {
      throw new MalformedHandshake("request: it does not start with get_meta_msg");
    }
    return read.rank();
  }

  /** The same, whatever it begins with. */
  static Request readRequest(byte[] request) {
    MsgpackReader in = reader(request, "request");
    return in.whole(() -> {
      int elements = in.arrayHeader();
      if (elements != 2 && elements != 3) {
        throw in.malformed(elements + " elements, not 2 or 3");
      }
      boolean meant = in.nextIsBinary();
      if (meant) {
        meant = Arrays.equals(in.binary(), GET_META);
      } else {
        in.skip();
      }
      int pipeline = elements == 3 ? in.number() : 0;
      int tensor = in.number();
      if (pipeline < 0 || tensor < 0) {
        throw in.malformed("a negative rank");
      }
      return new Request(
          new RankId(pipeline, tensor),
          elements == 3
              ? ConnectorVersion.RequestForm.BOTH_RANKS
              : ConnectorVersion.RequestForm.TENSOR_RANK,
          meant);
    });
  }

  /** The first frame of a reply. */
  public static byte[] encode(Handshake handshake) {
    return encode(out -> {
      out.packMapHeader(2);
      out.packString("compatibility_hash").packString(handshake.compatibilityHash());
      out.packString("agent_metadata_bytes");
      pack(out, handshake.metadata());
    });
  }

  /** Reads the first frame of a reply. */
  public static Handshake decodeHandshake(byte[] payload) {
    MsgpackReader in = reader(payload, "handshake");
    return in.whole(() -> {
      @Nullable String hash = null;
      @Nullable Blob metadata = null;
      for (int left = in.mapHeader(); left > 0; left--) {
        switch (in.text()) {
          case "compatibility_hash" -> hash = in.text();
          case "agent_metadata_bytes" -> metadata = Blob.of(in.binary());
          default -> in.skip();
        }
      }
      if (hash == null || metadata == null) {
        throw in.malformed(
            "required key %s is missing"
                .formatted(hash == null ? "compatibility_hash" : "agent_metadata_bytes"));
      }
      return new Handshake(hash, metadata);
    });
  }

  /** A rank's metadata, as they stand in a {@link Handshake}. */
  public static Blob encode(AgentMetadata metadata, ConnectorVersion version) {
    return Blob.of(encode(out -> MetadataCodec.write(metadata, version, out)));
  }

  /** Reads a rank's metadata. */
  public static AgentMetadata decodeMetadata(Blob metadata, ConnectorVersion version) {
    MsgpackReader in = reader(metadata.bytes(), "agent metadata");
    return in.whole(() -> MetadataCodec.read(in, version));
  }

  /** The second frame of a reply: the answering side's monotonic clock, in seconds. */
  public static byte[] encodeClock(double seconds) {
    return encode(out -> out.packDouble(seconds));
  }

  /** Reads the second frame of a reply. */
  public static double decodeClock(byte[] frame) {
    MsgpackReader in = reader(frame, "clock");
    return in.whole(in::floating);
  }

  private static MsgpackReader reader(byte[] bytes, String what) {
    if (bytes.length > MOST_BYTES) {
      throw new MalformedHandshake(
          "%s: %d bytes, at most %d are read".formatted(what, bytes.length, MOST_BYTES));
    }
    return new MsgpackReader(bytes, what);
  }

  /** Writes to memory, which does not fail. */
  @FunctionalInterface
  private interface Writing {
    void to(MessageBufferPacker out) throws IOException;
  }

  private static byte[] encode(Writing writing) {
    try (MessageBufferPacker out = MessagePack.newDefaultBufferPacker()) {
      writing.to(out);
      return out.toByteArray();
    } catch (IOException e) {
      throw new AssertionError("writing to memory", e);
    }
  }

  static void pack(MessageBufferPacker out, Blob blob) throws IOException {
    out.packBinaryHeader(blob.size()).writePayload(blob.bytes());
  }
}
