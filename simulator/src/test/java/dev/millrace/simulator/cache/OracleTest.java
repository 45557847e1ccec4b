package dev.millrace.simulator.cache;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.ElementType;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.Parallelism;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** What the model says depends on every byte of a sequence, and on no other. */
class OracleTest {
  private static final int BLOCK_SIZE = 4;
  private static final int[] PROMPT = {'m', 'i', 'l', 'l', 'r', 'a', 'c', 'e', '!'};
  private static final int[] BLOCKS = {5, 2, 4};

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
    return geometries;
  }

  private static Sequence sequence(KvMemory memory, int computed) {
    return new Sequence(memory, PROMPT, Sequence.prefixes("tiny", PROMPT), BLOCKS, computed, 0);
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
    ModelShape model = spec.model();
    int replicas = Math.max(1, spec.parallelism().tensor() / model.kvHeads());
    assertThat(mattering).isEqualTo(PROMPT.length * model.bytesPerToken() * replicas);
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
