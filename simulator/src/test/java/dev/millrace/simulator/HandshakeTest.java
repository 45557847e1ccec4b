package dev.millrace.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.ElementType;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.Parallelism;
import dev.millrace.transfer.sidechannel.AgentMetadata;
import dev.millrace.transfer.sidechannel.ConnectorVersion;
import dev.millrace.transfer.sidechannel.Handshake;
import dev.millrace.transfer.sidechannel.HandshakeCodec;
import dev.millrace.transfer.sidechannel.SideChannelClient;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** The side channel answers as the recorded engine did. */
class HandshakeTest {
  @RegisterExtension private final EngineInvariants engines = new EngineInvariants();

  @Test
  void handshake_engineLikeTheRecordedOne_answersTheSameBytes() {
    SimulatedEngine engine =
        engines.start(c ->
            c.model("model")
                .pairing(Pairing.VLLM)
                .geometry(
                    new GeometrySpec(
                        ModelShape.dense(4, 4, 32, ElementType.BFLOAT16),
                        Parallelism.tensor(1),
                        32,
                        Layout.CPU_ATTENTION,
                        1024)));
    Handshake ours;
    try (SideChannelClient client = new SideChannelClient()) {
      ours = client.ask("127.0.0.1", engine.sideChannelPort(), 0, 0, Duration.ofSeconds(10)).join();
    }
    Handshake recorded =
        HandshakeCodec.decodeHandshake(Recordings.bytes("handshake_tp1_block32.reply0.bin"));
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
