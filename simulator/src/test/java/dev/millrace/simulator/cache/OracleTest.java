package dev.millrace.simulator.cache;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.CacheGroup;
import dev.millrace.layout.ElementType;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.GeometryText;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.Parallelism;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** What the model says depends on every byte of a sequence, and on no other. */
class OracleTest {
  private static final int BLOCK_SIZE = 4;
  private static final int[] PROMPT = {'m', 'i', 'l', 'l', 'r', 'a', 'c', 'e', '!'};

  /** Any ids, none twice: room for 12 tokens in each of up to three groups. */
  private static GroupBlocks blocks(GeometrySpec spec) {
    int[][] ids = {{5, 2, 4}, {7, 1, 9}, {3, 8, 6}};
    return GroupBlocks.of(Arrays.copyOf(ids, spec.model().groups().size()));
  }

  static List<Arguments> geometries() {
    List<Arguments> geometries = new ArrayList<>();
    for (Layout layout : Layout.values()) {
      for (int tensor : new int[] {1, 2, 4}) {
        ModelShape dense = ModelShape.dense(2, 2, 3, ElementType.BFLOAT16);
        geometries.add(
            Arguments.of(
                new GeometrySpec(dense, Parallelism.tensor(tensor), BLOCK_SIZE, layout, 6)));
      }
    }
    ModelShape mla = ModelShape.mla(2, 9, ElementType.FLOAT8_E4M3);
    geometries.add(
        Arguments.of(new GeometrySpec(mla, Parallelism.tensor(2), BLOCK_SIZE, Layout.HND, 6)));
    for (String text :
        List.of(
            "tp=1,block=4,layout=hnd,heads=2,layers=4,head-size=3,blocks=12,window=5",
            "tp=4,block=4,layout=nhd,heads=2,layers=5,head-size=3,blocks=12,window=2",
            "tp=2,block=4,layout=cpu,heads=2,layers=4,head-size=3,blocks=12,window=100",
            "tp=1,block=4,layout=hnd,heads=2,layers=2,head-size=16,blocks=12,per-id=1,state=mamba1:6:4",
            "tp=2,block=2,layout=hnd,heads=2,layers=1,head-size=8,blocks=24,per-id=2,state=gdn:2:2:3:4,state-layers=2,state-dtype=fp32")) {
      geometries.add(Arguments.of(GeometryText.parse(text)));
    }
    return geometries;
  }

  private static Sequence sequence(KvMemory memory, int computed) {
    return new Sequence(
        memory, PROMPT, Sequence.prefixes("tiny", PROMPT), blocks(memory.spec()), computed, 0);
  }

  /** What is said by a sequence that somebody else has computed. */
  private static int next(KvMemory memory) {
    return sequence(memory, PROMPT.length).decode(1).token(0);
  }

  @ParameterizedTest
  @MethodSource("geometries")
  void nextToken_anyByteOfTheSequenceFlipped_isAnother(GeometrySpec spec) {
    KvMemory memory = new KvMemory(spec);
    sequence(memory, 0).compute();
    int right = next(memory);
    long mattering = 0;
    for (int rank = 0; rank < memory.ranks(); rank++) {
      MemorySegment bytes = memory.memory(rank);
      for (long i = 0; i < bytes.byteSize(); i++) {
        byte was = bytes.get(ValueLayout.JAVA_BYTE, i);
        bytes.set(ValueLayout.JAVA_BYTE, i, (byte) (was ^ 0x10));
        mattering += next(memory) == right ? 0 : 1;
        bytes.set(ValueLayout.JAVA_BYTE, i, was);
      }
    }
    assertThat(mattering).isPositive().isEqualTo(bytesThatMatter(spec));
    assertThat(memory.free()).isPositive();
  }

  private static long bytesThatMatter(GeometrySpec spec) {
    ModelShape model = spec.model();
    int replicas = Math.max(1, spec.parallelism().tensor() / model.kvHeads());
    long perLayer =
        (long) model.kvParts() * model.kvHeads() * model.headSize() * model.element().bytes();
    long bytes = 0;
    for (CacheGroup group : model.groups()) {
      bytes +=
          group.layerCount()
              * switch (group) {
                case CacheGroup.Full full -> PROMPT.length * perLayer * replicas;
                case CacheGroup.SlidingWindow window ->
                    Math.min(PROMPT.length, window.windowTokens()) * perLayer * replicas;
                case CacheGroup.StateSpace states -> states.state().bytes();
              };
    }
    return bytes;
  }

  /** What attention no longer sees is not there any more, and nobody asks for it. */
  @Test
  void nextToken_windowHasPassed_needsNoBlocksBeforeIt() {
    GeometrySpec spec =
        GeometryText.parse("block=4,heads=2,layers=4,head-size=4,blocks=12,window=3");
    KvMemory memory = new KvMemory(spec);
    sequence(memory, 0).compute();
    GroupBlocks withoutStart = GroupBlocks.of(new int[] {0, 2, 4}, blocks(spec).of(1));

    Sequence cut =
        new Sequence(
            memory, PROMPT, Sequence.prefixes("tiny", PROMPT), withoutStart, PROMPT.length, 0);

    assertThat(cut.decode(2).tokens())
        .containsExactly(sequence(memory, PROMPT.length).decode(2).tokens());
    assertThat(memory.free()).isPositive();
  }

  @ParameterizedTest
  @MethodSource("geometries")
  void nextToken_saidBitByBit_isTheSame(GeometrySpec spec) {
    KvMemory memory = new KvMemory(spec);
    Sequence atOnce = sequence(memory, 0);
    int[] expected = atOnce.decode(3).tokens();
    Sequence slowly = sequence(memory, 0);
    for (int token : expected) {
      assertThat(slowly.decode(1).tokens()).containsExactly(token);
    }
    assertThat(memory.free()).isPositive();
  }
}
