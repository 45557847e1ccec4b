package dev.millrace.layout;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class BlockPictureTest {

  private static String draw(String source, String target, int tensor) {
    TransferPlanner planner = Plans.planner(source, target);
    return BlockPicture.draw(planner, planner.target().ranks().get(tensor));
  }

  @Test
  void draw_ofUnequalTensorParallelism_showsTheHeadsThatAreRead() {
    assertThat(draw("tp=1,layers=2", "tp=2,layers=2", 1))
        .isEqualTo(
            """
            Block 1 of a sequence (tokens 16-31) into target rank tp1

            source rank tp0, model.layers.0.self_attn.attn
            +-------------------------------------+
            | 0..32767      not read here         |
            +-------------------------------------+
            | 32768..65535  head 4-7, token 16-31 | -> block 1: 0..32767
            +-------------------------------------+
            """);
  }

  @Test
  void draw_forTheFirstRank_showsWhatTheOthersRead() {
    assertThat(draw("tp=1,layers=2", "tp=2,layers=2", 0))
        .endsWith(
            """
            +-------------------------------------+
            | 0..32767      head 0-3, token 16-31 | -> block 1: 0..32767
            +-------------------------------------+
            | 32768..65535  not read here         |
            +-------------------------------------+
            """);
  }

  /** Groups share tensors: only one of them is drawn. */
  @Test
  void draw_ofTwoGroups_showsOne() {
    assertThat(draw("layers=2,heads=1,window=8", "layers=2,heads=1,window=8", 0))
        .endsWith(
            """
            source rank tp0, model.layers.0.self_attn.attn
            +------------------------------+
            | 0..8191  head 0, token 16-31 | -> block 1: 0..8191
            +------------------------------+
            """);
  }

  /** States move whole; the attention layers beside them are drawn. */
  @Test
  void draw_ofAHybrid_showsItsAttention() {
    assertThat(
            draw(
                "layers=1,heads=2,head-size=8,block=8,state=mamba1:32:4",
                "layers=1,heads=2,head-size=8,block=16,state=mamba1:32:4",
                0))
        .endsWith(
            """
            source rank tp0, model.layers.0.mixer
            +------------------------------+
            | 0..255    head 0, token 8-15 | -> block 0: 256..511
            +------------------------------+
            | 256..511  head 1, token 8-15 | -> block 0: 768..1023
            +------------------------------+
            """);
  }

  @Test
  void draw_ofTransposedK_findsTheDimension() {
    assertThat(
            draw(
                "layers=1,heads=1,head-size=2,block=2,layout=cpu",
                "layers=1,heads=1,head-size=2,block=4,layout=cpu",
                0))
        .isEqualTo(
            """
            Block 1 of a sequence (tokens 2-3) into target rank tp0

            source rank tp0, model.layers.0.self_attn.attn
            +------------------------------------+
            | 0..3   K, head 0, token 2-3, dim 0 | -> block 0: 4..7
            +------------------------------------+
            | 4..7   K, head 0, token 2-3, dim 1 | -> block 0: 12..15
            +------------------------------------+
            | 8..15  V, head 0, token 2-3        | -> block 0: 24..31
            +------------------------------------+
            """);
  }

  @Test
  void draw_ofUnequalBlocks_showsThePlaceInTheLargerOne() {
    assertThat(draw("tp=2,layers=2,heads=4", "tp=1,layers=2,heads=4,block=32", 0))
        .isEqualTo(
            """
            Block 1 of a sequence (tokens 16-31) into target rank tp0

            source rank tp0, model.layers.0.self_attn.attn
            +----------------------------------+
            | 0..8191      head 0, token 16-31 | -> block 0: 8192..16383
            +----------------------------------+
            | 8192..16383  head 1, token 16-31 | -> block 0: 24576..32767
            +----------------------------------+

            source rank tp1, model.layers.0.self_attn.attn
            +----------------------------------+
            | 0..8191      head 2, token 16-31 | -> block 0: 40960..49151
            +----------------------------------+
            | 8192..16383  head 3, token 16-31 | -> block 0: 57344..65535
            +----------------------------------+
            """);
  }

  @Test
  void draw_ofLargerSourceBlocks_namesEveryTargetBlock() {
    assertThat(draw("layers=2,heads=1,head-size=4,block=48", "layers=2,heads=1,head-size=4", 0))
        .isEqualTo(
            """
            Block 1 of a sequence (tokens 48-95) into target rank tp0

            source rank tp0, model.layers.0.self_attn.attn
            +-------------------------------+
            | 0..255    head 0, token 48-63 | -> block 3: 0..255
            +-------------------------------+
            | 256..511  head 0, token 64-79 | -> block 4: 0..255
            +-------------------------------+
            | 512..767  head 0, token 80-95 | -> block 5: 0..255
            +-------------------------------+
            """);
  }

  /** K transposed against K not transposed: element by element. */
  @Test
  void draw_ofATransposedInterior_showsElementsAndStopsInTime() {
    String picture =
        draw(
            "layers=1,heads=1,head-size=32,block=32,layout=cpu",
            "layers=1,heads=1,head-size=32,block=32",
            0);
    assertThat(picture)
        .contains("| 0..1    K, head 0, token 32, dim 0 | -> block 1: 0..1\n")
        .contains("| 2..3    K, head 0, token 33, dim 0 | -> block 1: 128..129\n")
        .contains("| …       1044 more slices           |\n");
  }

  @Test
  void draw_intoSeparateTensors_namesThem() {
    assertThat(draw("layers=2,heads=1", "layers=2,heads=1,layout=hnd-separate", 0))
        .contains("| 0..255      K, head 0, token 16 | -> block 1 k: 0..255\n")
        .contains("| 256..511    V, head 0, token 16 | -> block 1 v: 0..255\n");
  }

  @Test
  void draw_ofMla_namesNoHeads() {
    assertThat(draw("layers=2,mla=true", "layers=2,mla=true,tp=2", 1))
        .contains("| 0..18431  token 16-31 | -> block 1: 0..18431\n");
  }

  @Test
  void draw_ofCrossLayerBlocks_namesTheLayers() {
    assertThat(
            draw(
                "layers=4,heads=2,pp=2,layout=cross-layer-lhn",
                "layers=4,heads=2,pp=2,layout=cross-layer-lhn",
                1))
        .contains("source rank pp1/tp0, cross_layer\n")
        .contains("into target rank pp1/tp0\n")
        .contains("| 0..32767  layer 2-3, head 0-1, token 16-31 | -> block 1: 0..32767\n");
  }

  @Test
  void draw_ofManySources_showsSomeAndCountsTheRest() {
    assertThat(draw("layers=1,tp=8", "layers=1,tp=1", 0))
        .contains("source rank tp3")
        .doesNotContain("source rank tp4")
        .endsWith("… and likewise from 4 more source ranks\n");
  }

  @Test
  void draw_whenARankHasOneBlock_showsTheFirst() {
    assertThat(draw("layers=1,blocks=1", "layers=1,blocks=1,block=4", 0))
        .startsWith("Block 0 of a sequence (tokens 0-3) into target rank tp0\n");
  }

  static List<String[]> pairs() {
    List<String[]> pairs = new ArrayList<>();
    List<String> cuts = List.of("block=16", "block=64", "tp=2,block=24", "tp=16,pp=2");
    for (Layout source : Layout.values()) {
      for (Layout target : Layout.values()) {
        String cut = cuts.get(pairs.size() % cuts.size());
        int layers = source.isCrossLayer() || target.isCrossLayer() ? 80 : 2;
        String model = "heads=8,layers=" + layers;
        pairs.add(
            new String[] {
              model + ",layout=" + source.shortName(),
              model + ",layout=" + target.shortName() + "," + cut
            });
      }
    }
    return pairs;
  }

  @ParameterizedTest
  @MethodSource("pairs")
  void draw_fitsATerminal(String source, String target) {
    assertThat(draw(source, target, 0).lines())
        .allSatisfy(line -> assertThat(line.length()).isLessThanOrEqualTo(80));
  }
}
