package dev.millrace.transfer.sidechannel;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.List;

/** Handshakes recorded from vLLM v0.32.0 engines with CPU attention. */
final class Recordings {
  /** 4 layers, 4 KV heads of 32 bf16, TP 1, block 32. */
  static final String TP1 = "handshake_tp1_block32";

  /** Rank 1 of two, float32. */
  static final String TP2_RANK1 = "handshake_tp2_rank1_float32";

  /** Block 64, float32. */
  static final String BLOCK64 = "handshake_tp1_block64_float32";

  /** Sliding-window and full layers share two tensors. */
  static final String TWO_GROUPS = "handshake_swa_two_groups";

  static final List<String> ALL = List.of(TP1, TP2_RANK1, BLOCK64, TWO_GROUPS);

  private Recordings() {}

  static byte[] bytes(String name, String part) {
    String path = "/vllm-0.32.0/" + name + "." + part + ".bin";
    try (InputStream in = Recordings.class.getResourceAsStream(path)) {
      if (in == null) {
        throw new AssertionError(path + " is missing");
      }
      return in.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static Handshake handshake(String name) {
    return HandshakeCodec.decodeHandshake(bytes(name, "reply0"));
  }

  static AgentMetadata metadata(String name) {
    return HandshakeCodec.decodeMetadata(handshake(name).metadata(), ConnectorVersion.V14);
  }
}
