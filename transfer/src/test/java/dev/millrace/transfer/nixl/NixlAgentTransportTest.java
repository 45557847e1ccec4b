package dev.millrace.transfer.nixl;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.transfer.sidechannel.ConnectorVersion;
import dev.millrace.transfer.sidechannel.HandshakeCodec;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.Objects;
import org.junit.jupiter.api.Test;

class NixlAgentTransportTest {
  private static byte[] recorded() throws IOException {
    String path = "/vllm-0.32.0/handshake_tp1_block32.reply0.bin";
    try (InputStream in =
        Objects.requireNonNull(NixlAgentTransportTest.class.getResourceAsStream(path))) {
      return HandshakeCodec.decodeMetadata(
              HandshakeCodec.decodeHandshake(in.readAllBytes()).metadata(), ConnectorVersion.V14)
          .agentMetadata()
          .bytes();
    }
  }

  @Test
  void agentName_ofARecordedVllm_isFound() throws IOException {
    assertThat(NixlAgentTransport.agentName(recorded()))
        .isEqualTo("2c76c8c6-27a9-4d25-8679-e05fa5d46e5c");
  }

  @Test
  void agentName_cutOrAltered_isRefused() throws IOException {
    byte[] metadata = recorded();
    for (int length = 0; length < 60; length++) {
      byte[] cut = Arrays.copyOf(metadata, length);
      assertThatThrownBy(() -> NixlAgentTransport.agentName(cut))
          .isInstanceOf(IllegalArgumentException.class);
    }
    metadata[20] = -1;
    assertThatThrownBy(() -> NixlAgentTransport.agentName(metadata))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
