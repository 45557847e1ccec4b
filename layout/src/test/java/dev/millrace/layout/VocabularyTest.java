package dev.millrace.layout;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class VocabularyTest {

  @Nested
  class Tables {
    @Test
    void suffix_ofASequence_startsWhereItsLastBlocksDo() {
      assertThat(BlockTable.suffix(200, 32, 21, 22, 105))
          .isEqualTo(BlockTable.startingAt(4, 21, 22, 105));
      assertThat(BlockTable.suffix(192, 32, 1)).isEqualTo(BlockTable.startingAt(5, 1));
      assertThat(BlockTable.suffix(10, 32, 1, 2)).isEqualTo(BlockTable.of(1, 2));
    }

    @Test
    void equals_looksAtIdsAndPlace() {
      assertThat(BlockTable.of(1, 2))
          .isEqualTo(BlockTable.startingAt(0, 1, 2))
          .hasSameHashCodeAs(BlockTable.startingAt(0, 1, 2))
          .isNotEqualTo(BlockTable.startingAt(1, 1, 2))
          .isNotEqualTo(BlockTable.of(1, 3))
          .doesNotHaveSameHashCodeAs(BlockTable.startingAt(1, 1, 2))
          .hasToString("blocks 0+[1, 2]");
      assertThat(BlockTable.of(1).equals(new Object())).isFalse();
    }

    @Test
    void of_keepsAnArrayOfItsOwn() {
      int[] ids = {1, 2};
      BlockTable table = BlockTable.of(ids);
      ids[0] = 9;
      assertThat(table.id(0)).isEqualTo(1);
      assertThat(table.length()).isEqualTo(2);
    }

    @Test
    void startingAt_beforeTheSequence_isRefused() {
      assertThatIllegalArgumentException()
          .isThrownBy(() -> BlockTable.startingAt(-1, 4))
          .withMessage("firstBlock=-1 (>= 0)");
    }
  }

  @Nested
  class Bounds {
    @ParameterizedTest
    @CsvSource({"-1,0", "5,4"})
    void span_thatIsNone_isRefused(int from, int to) {
      assertThatIllegalArgumentException().isThrownBy(() -> new TokenSpan(from, to));
    }

    @ParameterizedTest
    @CsvSource({"-1,1,1", "0,0,1", "0,1,-1"})
    void axis_withoutExtent_isRefused(int first, int extent, long stride) {
      assertThatIllegalArgumentException()
          .isThrownBy(() -> new Axis(AxisName.HEAD, first, extent, stride));
    }

    @Test
    void axis_atTheBounds_isFine() {
      assertThat(new Axis(AxisName.HEAD, 0, 1, 0).end()).isEqualTo(1);
      assertThat(new Axis(AxisName.HEAD, 3, 4, 1).end()).isEqualTo(7);
    }

    @ParameterizedTest
    @CsvSource({"0,1,1", "1,0,1", "1,1,0"})
    void parallelism_ofNothing_isRefused(int tensor, int pipeline, int context) {
      assertThatIllegalArgumentException()
          .isThrownBy(() -> new Parallelism(tensor, pipeline, context));
    }

    @ParameterizedTest
    @CsvSource({"0,1,2", "1,0,2", "1,1,0", "1,1,3"})
    void modelShape_ofNothing_isRefused(int heads, int size, int parts) {
      List<CacheGroup> groups = List.of(CacheGroup.full(1));
      assertThatIllegalArgumentException()
          .isThrownBy(() -> new ModelShape(heads, size, parts, ElementType.INT8, groups));
    }

    @Test
    void modelShape_withoutGroups_isRefused() {
      assertThatIllegalArgumentException()
          .isThrownBy(() -> new ModelShape(1, 1, 1, ElementType.INT8, List.of()));
    }

    @Test
    void slidingWindow_ofNoTokens_isRefused() {
      assertThatIllegalArgumentException()
          .isThrownBy(() -> new CacheGroup.SlidingWindow(List.of(0), 0))
          .withMessage("windowTokens=0 (>= 1)");
      assertThat(new CacheGroup.SlidingWindow(List.of(0), 1).windowTokens()).isEqualTo(1);
    }

    @Test
    void region_mustHaveBlocksAndEveryAxisOnce() {
      Region region =
          GeometryText.parse("layers=1").geometry().rank(0, 0).regions().getFirst().getFirst();
      assertThatIllegalArgumentException()
          .isThrownBy(() -> new Region("r", 0, 0, 1, region.axes()));
      assertThatIllegalArgumentException()
          .isThrownBy(() -> new Region("r", 0, 1, 0, region.axes()));
      assertThatIllegalArgumentException()
          .isThrownBy(() -> new Region("r", 0, 1, 1, region.axes().subList(0, 4)))
          .withMessageStartingWith("region r must have each axis once");
      Axis head = region.axis(AxisName.HEAD);
      assertThatIllegalArgumentException()
          .isThrownBy(() -> new Region("r", 0, 1, 1, List.of(head, head, head, head, head)));
    }

    @Test
    void geometry_mustHaveItsRanks() {
      Geometry geometry = GeometryText.parse("layers=1").geometry();
      assertThatIllegalArgumentException()
          .isThrownBy(() ->
              new Geometry(
                  geometry.model(), Parallelism.tensor(2), 16, Layout.HND, geometry.ranks()))
          .withMessage("geometry: blockSize=16 (>= 1), blocksPerId=1 (>= 1), 1 ranks (expected 2)");
      assertThatIllegalArgumentException()
          .isThrownBy(() ->
              new Geometry(
                  geometry.model(), geometry.parallelism(), 0, Layout.HND, geometry.ranks()));
    }
  }

  @Nested
  class Names {
    @ParameterizedTest
    @EnumSource
    void layout_isFoundByItsShortName(Layout layout) {
      assertThat(Layout.parse(layout.shortName())).isEqualTo(layout);
      assertThat(layout.wireName()).matches("[LBKHNDC]+");
    }

    @ParameterizedTest
    @EnumSource
    void elementType_isFoundByAllItsNames(ElementType type) {
      assertThat(ElementType.parse(type.shortName())).isEqualTo(type);
      assertThat(ElementType.parse(type.vllmName())).isEqualTo(type);
      assertThat(ElementType.parse(type.vllmName().substring("torch.".length()))).isEqualTo(type);
    }
  }

  @Nested
  class Factory {
    @Test
    void bytesPerToken_countsAllLayersAndHeads() {
      assertThat(ModelShape.dense(28, 8, 128, ElementType.BFLOAT16).bytesPerToken())
          .isEqualTo(28 * 2 * 8 * 128 * 2);
      assertThat(ModelShape.mla(61, 576, ElementType.BFLOAT16).bytesPerToken())
          .isEqualTo(61 * 576 * 2);
    }

    /** As vLLM 0.32 said in its handshakes: 16384 = 4 heads, 32 tokens, K and V, 32 elements. */
    @Test
    void allocations_areWhatAHandshakeNames() {
      GeometrySpec spec =
          GeometryText.parse("tp=2,layers=4,heads=4,head-size=32,block=32,layout=cpu,blocks=9");
      assertThat(spec.allocations(0, 1))
          .hasSize(4)
          .startsWith(
              new Allocation("model.layers.0.self_attn.attn", 9, 8192),
              new Allocation("model.layers.1.self_attn.attn", 9, 8192));
      assertThat(spec.allocations(0, 1).getFirst().bytes()).isEqualTo(9 * 8192);
    }

    @Test
    void allocations_areNamedForWhatTheyHold() {
      assertThat(names("layers=2,pp=2,heads=4,tp=2,layout=hnd-separate"))
          .containsExactly("model.layers.1.self_attn.attn.k", "model.layers.1.self_attn.attn.v");
      assertThat(names("layers=2,pp=2,heads=4,tp=2,layout=head-major"))
          .containsExactly(
              "model.layers.1.self_attn.attn.head2", "model.layers.1.self_attn.attn.head3");
      assertThat(names("layers=4,pp=2,heads=4,tp=2,layout=cross-layer"))
          .containsExactly("cross_layer");
      assertThat(names("layers=5,pp=2,heads=4,tp=2,window=4"))
          .containsExactly("model.layers.2.self_attn.attn", "model.layers.4.self_attn.attn");
      assertThat(names("layers=1,pp=2,heads=4,tp=2,layout=cross-layer"))
          .containsExactly("cross_layer");
    }

    private static List<String> names(String text) {
      return GeometryText.parse(text).allocations(1, 1).stream().map(Allocation::name).toList();
    }

    @Test
    void geometry_ofAStageWithoutLayers_hasNoRegions() {
      GeometrySpec spec = GeometryText.parse("layers=1,pp=2,layout=cross-layer");
      assertThat(spec.allocations(0, 0)).isEmpty();
      assertThat(spec.geometry().rank(0, 0).regions()).containsExactly(List.of());
      assertThat(spec.geometry().rank(1, 0).regions().getFirst()).hasSize(1);
    }

    /** Every allocation has the size that the naive formulas need. */
    @ParameterizedTest
    @EnumSource
    void allocations_holdEveryElementOnce(Layout layout) {
      GeometrySpec spec =
          GeometryText.parse(
              "layers=3,heads=4,tp=2,head-size=3,block=5,blocks=2,dtype=int8,layout="
                  + layout.shortName());
      NaiveEngine engine = new NaiveEngine(spec, 4096, new Random(1));
      engine.fill(List.of(BlockTable.of(1, 0)));
      Set<Long> ids = new HashSet<>();
      int bytes = 0;
      for (long[] memory : engine.contents()) {
        for (long id : memory) {
          bytes++;
          assertThat(id).isNotEqualTo(NaiveEngine.UNTOUCHED);
          assertThat(ids.add(id)).isTrue();
        }
      }
      assertThat(bytes).isEqualTo(3 * 2 * 4 * 3 * 10);
    }

    @Test
    void geometry_ofHeadsThatDoNotDivide_isRefused() {
      assertThatThrownBy(() -> GeometryText.parse("heads=6,tp=4").geometry())
          .isInstanceOf(IncompatibleGeometry.class)
          .hasMessageStartingWith("6 KV heads do not divide among 4 tensor-parallel ranks");
    }

    @Test
    void geometry_ofCrossLayerBlocksInTwoGroups_isRefused() {
      assertThatThrownBy(() -> GeometryText.parse("window=6,layout=cross-layer").geometry())
          .isInstanceOf(IncompatibleGeometry.class)
          .hasMessageEndingWith("must have one KV-cache group, not 2");
    }

    @Test
    void geometry_ofCpuAttentionWithMla_isRefused() {
      assertThatThrownBy(() -> GeometryText.parse("mla=true,layout=cpu").geometry())
          .isInstanceOf(IncompatibleGeometry.class)
          .hasMessageStartingWith("layout cpu keeps K and V");
    }

    @Test
    void imaginedAddresses_areFarApart() {
      Set<Long> addresses = new HashSet<>();
      for (int pipeline = 0; pipeline < 15; pipeline++) {
        for (int tensor = 0; tensor < 256; tensor += 51) {
          for (int allocation = 0; allocation < 4096; allocation += 13) {
            long address = AddressBook.IMAGINED.baseAddress(pipeline, tensor, allocation);
            assertThat(address & ((1L << 40) - 1)).isZero();
            assertThat(addresses.add(address)).isTrue();
          }
        }
      }
    }
  }
}
