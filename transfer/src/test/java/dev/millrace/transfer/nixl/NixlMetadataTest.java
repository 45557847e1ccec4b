package dev.millrace.transfer.nixl;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.transfer.sidechannel.ConnectorVersion;
import dev.millrace.transfer.sidechannel.HandshakeCodec;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Objects;
import org.junit.jupiter.api.Test;

class NixlMetadataTest {
  private static byte[] recorded() throws IOException {
    String path = "/vllm-0.32.0/handshake_tp1_block32.reply0.bin";
    try (InputStream in =
        Objects.requireNonNull(NixlMetadataTest.class.getResourceAsStream(path))) {
      return HandshakeCodec.decodeMetadata(
              HandshakeCodec.decodeHandshake(in.readAllBytes()).metadata(), ConnectorVersion.V14)
          .agentMetadata()
          .bytes();
    }
  }

  @Test
  void agentName_ofARecordedVllm_isFound() throws IOException {
    assertThat(new NixlMetadata(recorded()).agentName())
        .isEqualTo("2c76c8c6-27a9-4d25-8679-e05fa5d46e5c");
  }

  @Test
  void agentName_cutOrAltered_isRefused() throws IOException {
    byte[] metadata = recorded();
    for (int length = 0; length < 60; length++) {
      byte[] cut = Arrays.copyOf(metadata, length);
      assertThatThrownBy(() -> new NixlMetadata(cut).agentName())
          .isInstanceOf(IllegalArgumentException.class);
    }
    metadata[20] = -1;
    assertThatThrownBy(() -> new NixlMetadata(metadata).agentName())
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void memory_ofARecordedVllmOnCpus_isTheHosts() throws IOException {
    assertThat(new NixlMetadata(recorded()).memory()).containsExactly(MemoryKind.DRAM);
  }

  @Test
  void memory_ofAnotherType_isThatOrNone() throws IOException {
    byte[] metadata = recorded();
    int type = new String(metadata, StandardCharsets.ISO_8859_1).indexOf("nixlSDList|t") + 20;
    metadata[type] = 1;
    assertThat(new NixlMetadata(metadata).memory()).containsExactly(MemoryKind.VRAM);
    metadata[type] = 5;
    assertThat(new NixlMetadata(metadata).memory()).isEmpty();
    assertThat(new NixlMetadata(Arrays.copyOf(metadata, type + 1)).memory()).isEmpty();
  }
}
