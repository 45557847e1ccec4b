package dev.millrace.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.GeometryText;
import dev.millrace.transfer.sidechannel.AgentMetadata;
import dev.millrace.transfer.sidechannel.ConnectorVersion;
import dev.millrace.transfer.sidechannel.Handshake;
import dev.millrace.transfer.sidechannel.HandshakeCodec;
import dev.millrace.transfer.sidechannel.SideChannelClient;
import java.time.Duration;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The side channel answers as recorded engines did. */
class HandshakeTest {
  @RegisterExtension private final EngineInvariants engines = new EngineInvariants();

  /** Engines that were launched as those whose answers are recorded. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          handshake_tp1_block32         | model     | 0 | tp=1,block=32,dtype=bf16,blocks=1024
          handshake_tp1_block64_float32 | model     | 0 | tp=1,block=64,dtype=fp32,blocks=256
          handshake_tp2_rank1_float32   | model     | 1 | tp=2,block=32,dtype=fp32,blocks=1024
          handshake_swa_two_groups      | model-swa | 0 | tp=1,block=32,dtype=bf16,blocks=2048,window=64
          """)
  void handshake_engineLikeTheRecordedOne_answersTheSameBytes(
      String recording, String model, int rank, String geometry) {
    GeometrySpec spec = GeometryText.parse("layout=cpu,heads=4,layers=4,head-size=32," + geometry);
    SimulatedEngine engine =
        engines.start(c -> c.model(model).pairing(Pairing.VLLM).geometry(spec));
    Handshake ours;
    try (SideChannelClient client = new SideChannelClient()) {
      ours =
          client.ask("127.0.0.1", engine.sideChannelPort(), 0, rank, Duration.ofSeconds(10)).join();
    }
    Handshake recorded =
        HandshakeCodec.decodeHandshake(Recordings.bytes(recording + ".reply0.bin"));
    assertThat(ours.compatibilityHash()).isEqualTo(recorded.compatibilityHash());
    // Ids, addresses and what the transport says are each engine's own.
    AgentMetadata theirs = HandshakeCodec.decodeMetadata(recorded.metadata(), ConnectorVersion.V14);
    AgentMetadata metadata = HandshakeCodec.decodeMetadata(ours.metadata(), ConnectorVersion.V14);
    assertThat(metadata.engineId()).isEqualTo(engine.engineId());
    AgentMetadata adopted =
        new AgentMetadata(
            theirs.engineId(),
            theirs.agentMetadata(),
            theirs.kvCachesBaseAddr(),
            metadata.deviceId(),
            metadata.numBlocks(),
            metadata.blockLens(),
            metadata.blockStrides(),
            metadata.kvCacheLayout(),
            metadata.blockSize(),
            metadata.ssmSizes(),
            metadata.attnBackendName(),
            metadata.physicalBlocksPerLogicalKvBlock(),
            metadata.regionNumBlocks(),
            metadata.regionGroupIds(),
            metadata.regionNames(),
            metadata.regionMemTypes(),
            metadata.dcpSize(),
            metadata.pcpSize(),
            metadata.pleBlockLen(),
            metadata.regionMembers(),
            metadata.packedMemberLayouts());
    assertThat(HandshakeCodec.encode(adopted, ConnectorVersion.V14)).isEqualTo(recorded.metadata());
  }
}
