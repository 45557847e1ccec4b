package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.ElementType;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.Parallelism;
import dev.millrace.layout.Rounding;
import io.vertx.core.json.JsonObject;
import java.net.URI;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Requests through a router and engines of unequal geometry: the answer is the aggregated one, what
 * moved is what the plan says, and nothing is left behind. By default over a pairwise cover of the
 * grid, over all of it with {@code mvn verify -Pgrid}.
 */
class GridTest {
  private static final List<Tp> TENSOR_PARALLEL =
      List.of(new Tp(1, 1), new Tp(1, 2), new Tp(2, 1), new Tp(2, 4), new Tp(4, 2), new Tp(8, 2));
  private static final List<Blocks> BLOCKS =
      List.of(new Blocks(16, 16), new Blocks(16, 32), new Blocks(32, 16), new Blocks(16, 48));
  private static final List<Layout> PREFILL_LAYOUTS =
      List.of(Layout.HND, Layout.NHD, Layout.CROSS_LAYER);
  private static final List<ModelShape> MODELS =
      List.of(
          ModelShape.dense(3, 4, 8, ElementType.BFLOAT16),
          ModelShape.mla(3, 24, ElementType.BFLOAT16));

  private static final Duration LONGEST_CLEANING = Duration.ofSeconds(10);
  private static final int ENGINE_TOKENS = 2048;

  private record Tp(int prefill, int decode) {}

  private record Blocks(int prefill, int decode) {}

  record Cell(Tp tp, Blocks blocks, Layout layout, ModelShape model) {
    static Cell at(int[] indices) {
      return new Cell(
          TENSOR_PARALLEL.get(indices[0]),
          BLOCKS.get(indices[1]),
          PREFILL_LAYOUTS.get(indices[2]),
          MODELS.get(indices[3]));
    }

    DemoSetup setup() {
      GeometrySpec prefill = spec(tp.prefill(), blocks.prefill(), layout);
      GeometrySpec decode = spec(tp.decode(), blocks.decode(), Layout.HND);
      return new DemoSetup(TransportChoice.TCP, prefill, decode, 1, 1, 0, 0, Duration.ZERO);
    }

    private GeometrySpec spec(int tensorParallel, int blockSize, Layout order) {
      int count = ENGINE_TOKENS / blockSize + 1;
      return new GeometrySpec(model, Parallelism.tensor(tensorParallel), blockSize, order, count);
    }

    @Override
    public String toString() {
      return "TP %d→%d, block %d→%d, %s→hnd, %s"
          .formatted(
              tp.prefill(),
              tp.decode(),
              blocks.prefill(),
              blocks.decode(),
              layout.shortName(),
              model.isMla() ? "MLA" : "dense");
    }
  }

  static Stream<Cell> cover() {
    return PairwiseCover.of(sizes()).stream().map(Cell::at);
  }

  static Stream<Cell> everyCell() {
    return PairwiseCover.product(sizes()).stream().map(Cell::at);
  }

  private static int[] sizes() {
    return new int[] {TENSOR_PARALLEL.size(), BLOCKS.size(), PREFILL_LAYOUTS.size(), MODELS.size()};
  }

  @Test
  void cover_isSmall() {
    assertThat(cover()).hasSizeBetween(24, 40).doesNotHaveDuplicates();
    assertThat(everyCell()).hasSize(144).doesNotHaveDuplicates();
  }

  @ParameterizedTest
  @MethodSource("cover")
  void answer_inACoverOfTheGrid_isTheAggregatedOne(Cell cell) throws Exception {
    prove(cell);
  }

  @Tag("grid")
  @ParameterizedTest
  @MethodSource("everyCell")
  void answer_inEveryCellOfTheGrid_isTheAggregatedOne(Cell cell) throws Exception {
    prove(cell);
  }

  private static void prove(Cell cell) throws Exception {
    try (Demo demo = TestDemos.start(cell.setup())) {
      // Prompts of one token, of two blocks and a bit, and of many; none is another's prefix.
      for (int tokens : new int[] {1, 33, 100}) {
        String prompt = "%c".formatted('a' + tokens % 26) + "x".repeat(tokens - 1);
        PlanReport plan =
            PlanReport.of(
                cell.setup().prefill(), cell.setup().decode(), tokens, Rounding.WHOLE_BLOCKS);

        long moved = bytesMovedFor(demo, prompt);

        assertThat(moved).as("bytes for %d tokens", tokens).isPositive();
        assertThat(moved).as("bytes for %d tokens", tokens).isEqualTo(plan.bytesMoved());
      }
      // D has the blocks of the last prompt, so of one that goes on from it less must move.
      String longer = "%c".formatted('a' + 100 % 26) + "x".repeat(99) + "y".repeat(50);
      PlanReport whole =
          PlanReport.of(cell.setup().prefill(), cell.setup().decode(), 150, Rounding.WHOLE_BLOCKS);
      assertThat(bytesMovedFor(demo, longer)).isPositive().isLessThan(whole.bytesMoved());
      TestDemos.assertNothingIsLeft(demo, Instant.now().plus(LONGEST_CLEANING));
    }
  }

  /** Asks both, compares the answers, and counts what the decode engine has read. */
  private static long bytesMovedFor(Demo demo, String prompt) throws Exception {
    String expected = complete(demo.aggregated().uri(), prompt);
    BlocksRead before = TestDemos.blocksRead(demo);
    assertThat(complete(demo.routerUrl(), prompt)).isEqualTo(expected).isNotBlank();
    return TestDemos.blocksRead(demo).since(before).bytes();
  }

  private static String complete(URI server, String prompt) throws Exception {
    JsonObject request =
        new JsonObject()
            .put("model", DemoSetup.MODEL)
            .put("prompt", prompt)
            .put("max_tokens", 8)
            .put("temperature", 0);
    String body = Http.post(server + "/v1/completions", request.encode());
    return new JsonObject(body).getJsonArray("choices").getJsonObject(0).getString("text");
  }
}
