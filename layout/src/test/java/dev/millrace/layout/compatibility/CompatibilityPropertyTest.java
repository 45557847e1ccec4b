package dev.millrace.layout.compatibility;

import static dev.millrace.layout.compatibility.TestEngines.WHERE;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.Layout;
import java.util.List;
import java.util.Set;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

/** What holds of all verdicts, over random pairs. */
class CompatibilityPropertyTest {
  /** An engine's own choices; 0 and empty where it says nothing. */
  record Engine(
      String vllm,
      String backend,
      int ranks,
      int block,
      Layout layout,
      String cacheDtype,
      boolean prefixCaching,
      Architecture architecture,
      String hash) {

    /** The same with a model of this class. */
    Engine of(Architecture other) {
      return new Engine(
          vllm, backend, ranks, block, layout, cacheDtype, prefixCaching, other, hash);
    }

    EngineProfile profile(String name) {
      EngineProfile.Builder builder =
          EngineProfile.named(name)
              .declare(Fact.MODEL, "org/model", WHERE)
              .declare(Fact.KV_HEADS, 8, WHERE)
              .declare(Fact.HEAD_SIZE, 128, WHERE)
              .declare(Fact.HIDDEN_LAYERS, 32, WHERE)
              .declare(Fact.DTYPE, "torch.bfloat16", WHERE)
              .declare(Fact.CACHE_DTYPE, cacheDtype, WHERE)
              .declare(Fact.LAYOUT, layout, WHERE)
              .declare(Fact.ARCHITECTURE, architecture, WHERE)
              .declare(Fact.PREFIX_CACHING, prefixCaching, WHERE);
      if (!vllm.isEmpty()) {
        builder.declare(Fact.VLLM_VERSION, vllm, WHERE);
      }
      if (!backend.isEmpty()) {
        builder.declare(Fact.ATTENTION_BACKEND, backend, WHERE);
      }
      if (ranks > 0) {
        builder.declare(Fact.TENSOR_PARALLEL, ranks, WHERE);
      }
      if (block > 0) {
        builder.declare(Fact.BLOCK_SIZE, block, WHERE);
      }
      if (!hash.isEmpty()) {
        builder.probe(Fact.HASH, hash, "handshake");
      }
      return builder.build();
    }
  }

  @Provide
  Arbitrary<Engine> engines() {
    Arbitrary<Engine> halves =
        Combinators.combine(
                Arbitraries.of("", "0.19.1", "0.24.0", "0.27.0", "0.32.0"),
                Arbitraries.of("", "FLASH_ATTN", "FLASHINFER", "CPU_ATTN", "FLEX_ATTENTION"),
                Arbitraries.of(0, 1, 2, 3, 8, 16),
                Arbitraries.of(0, 16, 32, 48, 64),
                Arbitraries.of(Layout.class),
                Arbitraries.of("auto", "bfloat16", "fp8"),
                Arbitraries.of(true, false),
                Arbitraries.of(Architecture.class))
            .as((vllm, backend, ranks, block, layout, cacheDtype, caching, architecture) ->
                new Engine(
                    vllm, backend, ranks, block, layout, cacheDtype, caching, architecture, ""));
    return Combinators.combine(halves, Arbitraries.of("", "aa", "bb"))
        .as((engine, hash) ->
            new Engine(
                engine.vllm(),
                engine.backend(),
                engine.ranks(),
                engine.block(),
                engine.layout(),
                engine.cacheDtype(),
                engine.prefixCaching(),
                engine.architecture(),
                hash));
  }

  @Property
  void verdict_saysSomething_inOrder(
      @ForAll("engines") Engine prefill, @ForAll("engines") Engine decode, @ForAll Way way) {
    switch (Compatibility.check(prefill.profile("P"), decode.profile("D"), way)) {
      case Verdict.Fits _ -> {}
      case Verdict.FitsWith(List<Note> notes) -> {
        assertThat(notes).isNotEmpty().doesNotHaveDuplicates();
        assertThat(notes).extracting(Note::rule).isSorted();
        assertThat(notes).allSatisfy(note -> assertThat(note.text()).isNotBlank());
      }
      case Verdict.Refused(List<Reason> reasons) -> {
        assertThat(reasons).isNotEmpty().doesNotHaveDuplicates();
        assertThat(reasons).extracting(Reason::rule).isSorted();
        assertThat(reasons)
            .allSatisfy(reason -> {
              assertThat(reason.prefill()).isNotBlank();
              assertThat(reason.decode()).isNotBlank();
              assertThat(reason.source()).isNotBlank();
              assertThat(reason.remedy()).isNotBlank();
            });
      }
      case Verdict.Unknown(List<Missing> missing) -> {
        assertThat(missing).isNotEmpty().doesNotHaveDuplicates();
        assertThat(missing).extracting(Missing::rule).isSorted();
        assertThat(missing).allSatisfy(each -> assertThat(each.remedy()).isNotBlank());
      }
    }
  }

  @Property
  void verdict_isAFunction(
      @ForAll("engines") Engine prefill, @ForAll("engines") Engine decode, @ForAll Way way) {
    assertThat(Compatibility.check(prefill.profile("P"), decode.profile("D"), way))
        .isEqualTo(Compatibility.check(prefill.profile("P"), decode.profile("D"), way));
  }

  /** What must be equal is unequal from both ends. */
  @Property
  void equalityRules_areSymmetric(
      @ForAll("engines") Engine one, @ForAll("engines") Engine another, @ForAll Way way) {
    Engine other = another.of(one.architecture());
    Set<Rule> symmetric =
        Set.of(
            Rule.CACHE_DTYPE,
            Rule.VLLM_VERSION,
            Rule.ATTENTION_BACKEND,
            Rule.KV_SCALES,
            Rule.COMPATIBILITY_HASH,
            Rule.TENSOR_PARALLEL,
            Rule.UNKNOWN_INTERIOR);

    assertThat(rules(one, other, way).stream().filter(symmetric::contains).toList())
        .isEqualTo(rules(other, one, way).stream().filter(symmetric::contains).toList());
  }

  /** A relay looks at what caches mean and not at how they lie, so it sees the same both ways. */
  @Property
  void relay_isSymmetric(@ForAll("engines") Engine one, @ForAll("engines") Engine another) {
    Engine other = another.of(one.architecture());
    assertThat(rules(one, other, Way.RELAY)).isEqualTo(rules(other, one, Way.RELAY));
    assertThat(fits(one, other)).isEqualTo(fits(other, one));
  }

  private static boolean fits(Engine prefill, Engine decode) {
    return Compatibility.check(prefill.profile("P"), decode.profile("D"), Way.RELAY).fits();
  }

  private static List<Rule> rules(Engine prefill, Engine decode, Way way) {
    return switch (Compatibility.check(prefill.profile("P"), decode.profile("D"), way)) {
      case Verdict.Refused(List<Reason> reasons) -> reasons.stream().map(Reason::rule).toList();
      case Verdict.Fits _, Verdict.FitsWith _, Verdict.Unknown _ -> List.of();
    };
  }

  /** Where engines fit by themselves, an agent that only passes on what they say is no worse. */
  @Property
  void bridge_fitsWhereEnginesDo(
      @ForAll("engines") Engine prefill, @ForAll("engines") Engine decode) {
    EngineProfile p = prefill.profile("P");
    EngineProfile d = decode.profile("D");

    if (Compatibility.check(p, d, Way.ENGINE).fits()) {
      assertThat(Compatibility.check(p, d, Way.BRIDGE).fits()).isTrue();
    }
  }

  @Property
  void choice_isTheFirstThatFits(
      @ForAll("engines") Engine prefill, @ForAll("engines") Engine decode) {
    EngineProfile p = prefill.profile("P");
    EngineProfile d = decode.profile("D");

    switch (Compatibility.choose(p, d, List.of(Way.values()))) {
      case Choice.Use(Judgement chosen, List<Judgement> before) -> {
        assertThat(chosen.traffic()).isNotEqualTo(Judgement.Traffic.NEVER);
        assertThat(before).noneMatch(judgement -> judgement.verdict().fits());
        assertThat(before).hasSize(List.of(Way.values()).indexOf(chosen.way()));
      }
      case Choice.None(List<Judgement> tried) ->
          assertThat(tried).allMatch(each -> each.traffic() == Judgement.Traffic.NEVER);
    }
  }

  /** An engine always fits itself, as far as enough is known of it. */
  @Property
  void twoOfAKind_areNeverRefusedForADifference(@ForAll("engines") Engine engine) {
    Set<Rule> ofOneEngine =
        Set.of(Rule.ARCHITECTURE, Rule.CONTRADICTION, Rule.NOT_PLANNED, Rule.MORE_RANKS_THAN_HEADS);

    assertThat(ofOneEngine).containsAll(rules(engine, engine, Way.ENGINE));
    assertThat(ofOneEngine).containsAll(rules(engine, engine, Way.BRIDGE));
    assertThat(ofOneEngine).containsAll(rules(engine, engine, Way.RELAY));
  }
}
