package dev.millrace.transfer.sidechannel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.layout.AddressBook;
import dev.millrace.layout.CacheGroup;
import dev.millrace.layout.ElementType;
import dev.millrace.layout.Geometry;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.GeometryText;
import dev.millrace.layout.IncompatibleGeometry;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.Parallelism;
import dev.millrace.layout.Region;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

final class EngineGeometryTest {
  private static final RankId ONLY = new RankId(0, 0);
  private static final ModelShape BF16 = ModelShape.dense(4, 4, 32, ElementType.BFLOAT16);

  @Test
  void of_recordedEngine_isCpuAttentionAtItsAddresses() {
    AgentMetadata metadata = Recordings.metadata(Recordings.TP1);

    Geometry geometry = EngineGeometry.of(BF16, Map.of(ONLY, metadata));

    assertThat(geometry.layout()).isEqualTo(Layout.CPU_ATTENTION);
    assertThat(geometry.blockSize()).isEqualTo(32);
    assertThat(geometry.parallelism()).isEqualTo(Parallelism.tensor(1));
    assertThat(geometry.rank(0, 0).regions().getFirst().getFirst().baseAddress())
        .isEqualTo(0x7f26dbfff040L);
  }

  @Test
  void of_recordedTwoGroups_isCpuAttention() {
    // Layers 0 and 2 of one kind, 1 and 3 of the other; the second of a pair shares its tensor.
    ModelShape model =
        new ModelShape(
            4,
            32,
            2,
            ElementType.BFLOAT16,
            List.of(
                new CacheGroup.SlidingWindow(List.of(0, 2), 64),
                new CacheGroup.Full(List.of(1, 3))));

    Geometry geometry =
        EngineGeometry.of(model, Map.of(ONLY, Recordings.metadata(Recordings.TWO_GROUPS)));

    assertThat(geometry.rank(0, 0).regions()).hasSize(2);
  }

  @Test
  void of_otherElementType_explainsTheBlockLengths() {
    ModelShape wrong = ModelShape.dense(4, 4, 32, ElementType.FLOAT32);

    assertThatThrownBy(
            () -> EngineGeometry.of(wrong, Map.of(ONLY, Recordings.metadata(Recordings.TP1))))
        .isInstanceOf(IncompatibleGeometry.class)
        .hasMessageContaining("16384")
        .hasMessageContaining("32768")
        .hasMessageContaining("fp32");
  }

  @Test
  void of_rankMissing_saysWhich() {
    Map<RankId, AgentMetadata> ranks =
        Map.of(new RankId(0, 1), Recordings.metadata(Recordings.TP2_RANK1));

    assertThatThrownBy(() -> EngineGeometry.of(BF16, ranks))
        .isInstanceOf(IncompatibleGeometry.class)
        .hasMessageContaining("tensor rank 0 is missing");
  }

  @Test
  void of_ranksOfDifferentEngines_saysSo() {
    Map<RankId, AgentMetadata> ranks =
        Map.of(
            ONLY,
            Recordings.metadata(Recordings.TP1),
            new RankId(0, 1),
            Recordings.metadata(Recordings.TP2_RANK1));

    assertThatThrownBy(() -> EngineGeometry.of(BF16, ranks))
        .isInstanceOf(IncompatibleGeometry.class)
        .hasMessageContaining("engine_id");
  }

  @Test
  void describe_recordedEngine_saysWhatTheRecordingSays() {
    AgentMetadata recorded = Recordings.metadata(Recordings.TP1);
    GeometrySpec spec =
        new GeometrySpec(BF16, Parallelism.tensor(1), 32, Layout.CPU_ATTENTION, 1024);

    AgentMetadata described =
        EngineGeometry.describe(
            spec,
            ONLY,
            (p, t, allocation) -> recorded.kvCachesBaseAddr().get(allocation),
            recorded.engineId(),
            "unused",
            recorded.agentMetadata());

    assertThat(described).isEqualTo(recorded);
  }

  private static AgentMetadata described(GeometrySpec spec, AddressBook addresses) {
    return EngineGeometry.describe(spec, ONLY, addresses, "engine", "FLASH_ATTN", Blob.EMPTY);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "layers=2,heads=4,head-size=8,block=4,blocks=12,state=mamba2:8:4:2:16,state-layers=4",
        "layers=2,heads=4,head-size=8,block=16,blocks=12,per-id=4",
      })
  void of_hybridsAndLogicalBlocks_isTheGeometry(String text) {
    GeometrySpec spec = GeometryText.parse(text);
    assertThat(EngineGeometry.of(spec.model(), Map.of(ONLY, described(spec, AddressBook.IMAGINED))))
        .isEqualTo(spec.geometry());
  }

  @Test
  void describe_ofAHybrid_saysTheSizesOfItsStates() {
    GeometrySpec spec =
        GeometryText.parse(
            "layers=1,heads=4,head-size=8,block=16,state=mamba2:8:4:2:16,state-dtype=fp32");
    AgentMetadata metadata = described(spec, AddressBook.IMAGINED);
    assertThat(metadata.ssmSizes()).isEqualTo(new AgentMetadata.SsmSizes(96 * 3 * 2, 8 * 64 * 4));
    assertThat(metadata.physicalBlocksPerLogicalKvBlock()).isEqualTo(2);
  }

  @Test
  void of_statesThatTheModelHasNot_isRefused() {
    GeometrySpec spec =
        GeometryText.parse("layers=1,heads=4,head-size=8,block=16,state=mamba1:32:8,conv=3");
    GeometrySpec other =
        GeometryText.parse("layers=1,heads=4,head-size=8,block=16,state=mamba1:32:8,conv=2");
    assertThatThrownBy(() ->
            EngineGeometry.of(other.model(), Map.of(ONLY, described(spec, AddressBook.IMAGINED))))
        .isInstanceOf(IncompatibleGeometry.class)
        .hasMessageContaining("ssm_sizes=(192, 512)")
        .hasMessageContaining("(128, 512)");
  }

  /** Layers that interleave in one tensor, described as a tensor each. */
  @Test
  void of_blocksWithGaps_keepsTheirDistance() {
    GeometrySpec spec = GeometryText.parse("layers=3,heads=2,head-size=8,block=16,blocks=5");
    AddressBook interleaved =
        new AddressBook() {
          @Override
          public long baseAddress(int pipeline, int tensor, int allocation) {
            return 4096 + 1024L * allocation;
          }

          @Override
          public long blockStrideBytes(int pipeline, int tensor, int allocation, long bytes) {
            return 3 * bytes;
          }
        };
    AgentMetadata metadata = described(spec, interleaved);
    assertThat(metadata.blockStrides()).containsOnly(3072L);
    Geometry geometry = EngineGeometry.of(spec.model(), Map.of(ONLY, metadata));
    assertThat(geometry).isEqualTo(spec.geometry(interleaved));
    assertThat(geometry.rank(0, 0).regions().getFirst().get(1))
        .returns(5120L, Region::baseAddress)
        .returns(3072L, Region::blockStrideBytes);
  }

  @Test
  void of_blocksThatOverlap_isRefused() {
    GeometrySpec spec = GeometryText.parse("layers=1,heads=2,head-size=8,block=16,blocks=5");
    AddressBook overlapping =
        new AddressBook() {
          @Override
          public long baseAddress(int pipeline, int tensor, int allocation) {
            return 4096;
          }

          @Override
          public long blockStrideBytes(int pipeline, int tensor, int allocation, long bytes) {
            return bytes - 1;
          }
        };
    AgentMetadata metadata = described(spec, overlapping);
    assertThatThrownBy(() -> EngineGeometry.of(spec.model(), Map.of(ONLY, metadata)))
        .isInstanceOf(IncompatibleGeometry.class)
        .hasMessageContaining("block_strides=[1023]");
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void of_whatIsDescribed_isTheGeometry(Layout layout) {
    ModelShape model = ModelShape.dense(6, 4, 16, ElementType.FLOAT16);
    GeometrySpec spec = new GeometrySpec(model, new Parallelism(2, 2, 1), 16, layout, 10);
    Map<RankId, AgentMetadata> ranks = new HashMap<>();
    for (int p = 0; p < 2; p++) {
      for (int t = 0; t < 2; t++) {
        RankId rank = new RankId(p, t);
        ranks.put(
            rank,
            EngineGeometry.describe(
                spec, rank, AddressBook.IMAGINED, "engine", "FLASH_ATTN", Blob.EMPTY));
      }
    }

    assertThat(EngineGeometry.of(model, ranks)).isEqualTo(spec.geometry());
  }

  /** Names of layouts mean other things in older versions, and do not say all that they mean. */
  @ParameterizedTest
  @CsvSource({
    "V2, FLASH_ATTN, HND_SEPARATE, HND",
    "V2, FLASH_ATTN, NHD_SEPARATE, NHD",
    "V2, FLASHINFER, HND_SPLIT, HND",
    "V2, FLASH_ATTN, CROSS_LAYER, HND",
    "V4, FLASH_ATTN, HND_SPLIT, HND",
    "V4, FLASH_ATTN, NHD_SPLIT, NHD",
    "V5, FLASH_ATTN, HND, HND",
    "V7, FLASH_ATTN, CROSS_LAYER, HND",
    "V9, FLASH_ATTN, CROSS_LAYER, BHLNC",
    "V11, FLASH_ATTN, NHD, LBNHC"
  })
  void of_whatAVersionSays_isTheGeometryThatItMeans(
      ConnectorVersion version, String backend, Layout layout, String name) {
    GeometrySpec spec = new GeometrySpec(BF16, Parallelism.tensor(1), 32, layout, 8);
    AgentMetadata said =
        EngineGeometry.describe(
            spec, ONLY, AddressBook.IMAGINED, "e", backend, Blob.EMPTY, version);
    Blob sent = HandshakeCodec.encode(said, version);
    AgentMetadata heard = HandshakeCodec.decodeMetadata(sent, version);

    assertThat(heard.kvCacheLayout()).isEqualTo(name);
    assertThat(EngineGeometry.of(BF16, Map.of(ONLY, heard), version)).isEqualTo(spec.geometry());
  }
}
