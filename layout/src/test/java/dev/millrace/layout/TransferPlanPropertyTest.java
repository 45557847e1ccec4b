package dev.millrace.layout;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

/** Random pairs of engines: every element arrives where a naive reader finds it, once. */
class TransferPlanPropertyTest {

  /**
   * One engine's own choices.
   *
   * @param moreBlocks blocks per id beyond those that it needs
   */
  record Engine(int tensor, int pipeline, int blockSize, Layout layout, int moreBlocks) {}

  record Scenario(
      ModelShape model, Engine source, Engine target, TokenSpan span, int sequence, long seed) {

    GeometrySpec spec(Engine engine) {
      int perId = blocksPerId(engine);
      int blocks = ids(engine) * perId;
      return new GeometrySpec(
          model,
          new Parallelism(engine.tensor(), engine.pipeline(), 1),
          engine.blockSize(),
          engine.layout(),
          blocks,
          perId);
    }

    /** Enough for the largest state, where there is one. */
    int blocksPerId(Engine engine) {
      int heads = Math.max(1, model.kvHeads() / engine.tensor());
      int blockBytes =
          engine.blockSize() * heads * model.kvParts() * model.headSize() * model.element().bytes();
      int needed = 1;
      for (CacheGroup group : model.groups()) {
        if (group instanceof CacheGroup.StateSpace(List<Integer> _, StateShape state)) {
          long bytes = state.bytes() / engine.tensor();
          needed = Math.max(needed, Math.toIntExact(Math.ceilDiv(bytes, blockBytes)));
        }
      }
      return needed + engine.moreBlocks();
    }

    int ids(Engine engine) {
      int tokens = engine.blockSize() * blocksPerId(engine);
      return (Math.ceilDiv(sequence, tokens) + 2) * model.groups().size() + 2;
    }

    /** Permuted block ids; a sliding-window group has only the blocks it needs, or one more. */
    List<BlockTable> tables(Engine engine, Random random) {
      int tokens = engine.blockSize() * blocksPerId(engine);
      int all = Math.ceilDiv(sequence, tokens);
      List<Integer> ids = new ArrayList<>();
      for (int id = 0; id < ids(engine); id++) {
        ids.add(id);
      }
      if (random.nextInt(4) > 0) {
        Collections.shuffle(ids, random);
      }
      List<BlockTable> tables = new ArrayList<>();
      for (CacheGroup group : model.groups()) {
        int first = 0;
        int end = all;
        if (group instanceof CacheGroup.SlidingWindow window) {
          int needed = Math.max(span.from(), span.to() - window.windowTokens());
          first = Math.max(0, needed / tokens - random.nextInt(2));
        } else if (group instanceof CacheGroup.StateSpace) {
          // One state, or also that of an earlier token.
          first = random.nextInt(3);
          end = first + 1 + random.nextInt(2);
        } else if (random.nextBoolean()) {
          first = span.from() / tokens;
        }
        int[] own = new int[end - first];
        for (int i = 0; i < own.length; i++) {
          own[i] = ids.removeFirst();
        }
        tables.add(BlockTable.startingAt(first, own));
      }
      return tables;
    }
  }

  @Property
  void plan_exact_movesEveryElementOnce(@ForAll("scenarios") Scenario scenario) {
    prove(scenario, Rounding.EXACT);
  }

  @Property
  void plan_wholeBlocks_movesNothingThatIsNotZeroed(@ForAll("scenarios") Scenario scenario) {
    prove(scenario, Rounding.WHOLE_BLOCKS);
  }

  private static void prove(Scenario scenario, Rounding rounding) {
    Random random = new Random(scenario.seed());
    new PlanProof(
            scenario.spec(scenario.source()),
            scenario.spec(scenario.target()),
            scenario.tables(scenario.source(), random),
            scenario.tables(scenario.target(), random))
        .prove(scenario.span(), rounding);
  }

  @Provide
  Arbitrary<Scenario> scenarios() {
    return models().flatMap(this::scenarios);
  }

  private Arbitrary<ModelShape> models() {
    Arbitrary<ElementType> elements =
        Arbitraries.of(ElementType.FLOAT32, ElementType.BFLOAT16, ElementType.FLOAT8_E4M3);
    Arbitrary<Integer> layers = Arbitraries.integers().between(1, 4);
    Arbitrary<Integer> heads = Arbitraries.of(1, 2, 4, 8);
    Arbitrary<Integer> headSizes = Arbitraries.integers().between(1, 4);
    Arbitrary<ModelShape> dense =
        Combinators.combine(layers, heads, headSizes, elements).as(ModelShape::dense);
    Arbitrary<ModelShape> mla =
        Combinators.combine(layers, headSizes, elements).as(ModelShape::mla);
    Arbitrary<ModelShape> windowed =
        Combinators.combine(heads, headSizes, elements, Arbitraries.integers().between(1, 40))
            .as((h, size, element, window) ->
                new ModelShape(
                    h,
                    size,
                    2,
                    element,
                    List.of(
                        new CacheGroup.Full(List.of(1, 3)),
                        new CacheGroup.SlidingWindow(List.of(0, 2, 4), window))));
    return Arbitraries.oneOf(dense, dense, mla, windowed, hybrids());
  }

  private static Arbitrary<ModelShape> hybrids() {
    Arbitrary<ElementType> elements = Arbitraries.of(ElementType.BFLOAT16, ElementType.FLOAT32);
    Arbitrary<StateShape.Part> parts =
        Combinators.combine(Arbitraries.of(8, 16), Arbitraries.integers().between(1, 5), elements)
            .as((channels, each, element) -> new StateShape.Part("part", channels, each, element));
    Arbitrary<StateShape> states = parts.list().ofMinSize(2).ofMaxSize(4).map(StateShape::new);
    return Combinators.combine(
            Arbitraries.of(1, 2, 4), Arbitraries.integers().between(1, 4), elements, states, states)
        .as((heads, size, element, one, two) ->
            new ModelShape(
                heads,
                size,
                2,
                element,
                List.of(
                    new CacheGroup.StateSpace(List.of(0, 3), one),
                    new CacheGroup.Full(List.of(1, 4)),
                    new CacheGroup.StateSpace(List.of(2), two))));
  }

  private Arbitrary<Scenario> scenarios(ModelShape model) {
    List<Layout> layouts = new ArrayList<>(List.of(Layout.values()));
    boolean hybrid = model.stateBytes() > 0;
    layouts.removeIf(layout ->
        (layout.isCrossLayer() && model.groups().size() > 1)
            || (hybrid && !layout.order().contains(AxisName.KV))
            || (hybrid && !layout.order().contains(AxisName.HEAD))
            || (layout == Layout.CPU_ATTENTION && model.isMla()));
    Arbitrary<Engine> engines =
        Combinators.combine(
                Arbitraries.of(1, 2, 4, 8),
                Arbitraries.integers().between(1, 3),
                Arbitraries.oneOf(
                    Arbitraries.of(1, 2, 4, 16, 24, 32, 48), Arbitraries.integers().between(1, 64)),
                Arbitraries.of(layouts),
                Arbitraries.integers().between(0, 2))
            .as(Engine::new);
    Arbitrary<TokenSpan> spans =
        Combinators.combine(
                Arbitraries.integers().between(0, 60), Arbitraries.integers().between(0, 60))
            .as((from, tokens) -> new TokenSpan(from, from + tokens));
    return Combinators.combine(
            engines, engines, spans, Arbitraries.integers().between(0, 20), Arbitraries.longs())
        .as((source, target, span, more, seed) ->
            new Scenario(model, source, target, span, span.to() + more, seed));
  }
}
