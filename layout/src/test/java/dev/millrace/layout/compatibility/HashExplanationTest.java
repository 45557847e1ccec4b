package dev.millrace.layout.compatibility;

import static dev.millrace.layout.compatibility.TestEngines.WHERE;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.CompatibilityHash;
import dev.millrace.layout.CompatibilityHash.Difference;
import dev.millrace.layout.CompatibilityHash.Speculation;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class HashExplanationTest {
  private static final SpeculativeSetup EAGLE =
      new SpeculativeSetup(
          "eagle3",
          Optional.of(
              new Speculation("eagle3", "org/draft", null, null, false, "auto", List.of(2, 14))),
          Optional.of(3));

  /** Two values of each factor. */
  private static final Map<HashFactor, List<Object>> VALUES =
      new EnumMap<>(
          Map.ofEntries(
              Map.entry(HashFactor.MODEL, List.of("org/model", "/models/model")),
              Map.entry(HashFactor.NUM_KV_HEADS, List.of(8, 4)),
              Map.entry(HashFactor.HEAD_SIZE, List.of(128, 64)),
              Map.entry(HashFactor.NUM_HIDDEN_LAYERS, List.of(32, 28)),
              Map.entry(HashFactor.DTYPE, List.of("torch.bfloat16", "torch.float16")),
              Map.entry(HashFactor.CACHE_DTYPE, List.of("auto", "fp8")),
              Map.entry(HashFactor.VLLM_VERSION, List.of("9.1.0", "9.2.0")),
              Map.entry(HashFactor.NIXL_CONNECTOR_VERSION, List.of(8, 7)),
              Map.entry(HashFactor.ATTN_BACKEND_NAME, List.of("FLASH_ATTN", "FLASHINFER")),
              Map.entry(HashFactor.TRANSFER_MODE, List.of(TransferMode.PULL, TransferMode.PUSH)),
              Map.entry(HashFactor.SPECULATIVE_CONFIG, List.of(SpeculativeSetup.NONE, EAGLE)),
              Map.entry(HashFactor.IS_HMA_ENABLED, List.of(true, false)),
              Map.entry(HashFactor.CROSS_LAYERS_BLOCKS, List.of(false, true))));

  private static Map<HashFactor, Object> base() {
    Map<HashFactor, Object> values = new EnumMap<>(HashFactor.class);
    VALUES.forEach((factor, both) -> values.put(factor, both.getFirst()));
    return values;
  }

  private static Map<HashFactor, Object> with(Map<HashFactor, Object> values, HashFactor factor) {
    Map<HashFactor, Object> changed = new EnumMap<>(values);
    changed.put(factor, VALUES.getOrDefault(factor, List.of()).get(1));
    return changed;
  }

  private static String hex(Map<HashFactor, Object> values) {
    return new HashFactors(values).hash().orElseThrow().hex();
  }

  @SuppressWarnings("unchecked") // VALUES has values of the facts' types.
  private static EngineProfile engine(
      String name, Map<HashFactor, Object> said, Map<HashFactor, Object> real) {
    EngineProfile.Builder builder = EngineProfile.named(name);
    said.forEach((factor, value) -> builder.declare((Fact<Object>) factor.fact(), value, WHERE));
    return builder.probe(Fact.HASH, hex(real), "handshake").build();
  }

  private static List<String> found(HashExplanation explanation) {
    assertThat(explanation).isInstanceOf(HashExplanation.Differs.class);
    return ((HashExplanation.Differs) explanation)
        .factors().stream().map(Difference::factor).toList();
  }

  @Test
  void equalHashes_areTheSame() {
    EngineProfile engine = engine("P", base(), base());

    assertThat(HashExplanation.of(engine, engine)).isEqualTo(new HashExplanation.Same());
  }

  @ParameterizedTest
  @EnumSource
  void aFactorThatIsSaid_isFound(HashFactor factor) {
    Map<HashFactor, Object> other = with(base(), factor);

    HashExplanation explanation =
        HashExplanation.of(engine("P", base(), base()), engine("D", other, other));

    assertThat(found(explanation)).containsExactly(factor.vllmName());
  }

  @Test
  void difference_hasThePrefillEnginesValueFirst() {
    Map<HashFactor, Object> other = with(base(), HashFactor.CACHE_DTYPE);

    assertThat(HashExplanation.of(engine("P", base(), base()), engine("D", other, other)))
        .isEqualTo(
            new HashExplanation.Differs(
                List.of(new Difference("cache_dtype", "\"auto\"", "\"fp8\""))));
  }

  /** Nobody said that the engine has another value, but it is a usual one. */
  @ParameterizedTest
  @EnumSource(
      names = {
        "DTYPE",
        "CACHE_DTYPE",
        "NIXL_CONNECTOR_VERSION",
        "ATTN_BACKEND_NAME",
        "TRANSFER_MODE",
        "IS_HMA_ENABLED",
        "CROSS_LAYERS_BLOCKS"
      })
  void aFactorThatIsSaidWrong_isFoundIfItsValueIsUsual(HashFactor factor) {
    EngineProfile decode = engine("D", base(), with(base(), factor));

    assertThat(found(HashExplanation.of(engine("P", base(), base()), decode)))
        .containsExactly(factor.vllmName());
  }

  @Test
  void aFactorThatIsNotSaid_isLentByThePeer() {
    Map<HashFactor, Object> said = base();
    said.remove(HashFactor.MODEL);
    said.remove(HashFactor.NUM_KV_HEADS);
    Map<HashFactor, Object> real = with(base(), HashFactor.CACHE_DTYPE);

    assertThat(found(HashExplanation.of(engine("P", base(), base()), engine("D", said, real))))
        .containsExactly("cache_dtype");
  }

  @Test
  void twoFactors_areFound() {
    Map<HashFactor, Object> real =
        with(with(base(), HashFactor.CACHE_DTYPE), HashFactor.IS_HMA_ENABLED);

    assertThat(found(HashExplanation.of(engine("P", base(), base()), engine("D", base(), real))))
        .containsExactly("cache_dtype", "is_hma_enabled");
  }

  @Test
  void threeFactors_areTooMany() {
    Map<HashFactor, Object> real =
        with(
            with(with(base(), HashFactor.CACHE_DTYPE), HashFactor.IS_HMA_ENABLED),
            HashFactor.DTYPE);

    assertThat(HashExplanation.of(engine("P", base(), base()), engine("D", base(), real)))
        .isInstanceOf(HashExplanation.Unexplained.class);
  }

  @Test
  void aPathThatNobodyKnows_isNotFound() {
    Map<HashFactor, Object> real = base();
    real.put(HashFactor.MODEL, "/somewhere/else");

    HashExplanation explanation =
        HashExplanation.of(engine("P", base(), base()), engine("D", base(), real));

    assertThat(explanation).isInstanceOf(HashExplanation.Unexplained.class);
    assertThat(((HashExplanation.Unexplained) explanation).why())
        .startsWith("the hash of D is not that of model org/model")
        .endsWith("nor with one or two of these changed");
  }

  @Test
  void whatTheEngineSaidItself_isNotDoubted() {
    Map<HashFactor, Object> real = with(base(), HashFactor.ATTN_BACKEND_NAME);
    EngineProfile.Builder decode = EngineProfile.named("D");
    base().forEach((factor, value) -> probe(decode, factor, value));
    decode.probe(Fact.HASH, hex(real), "handshake");

    assertThat(HashExplanation.of(engine("P", base(), base()), decode.build()))
        .isInstanceOf(HashExplanation.Unexplained.class);
  }

  @SuppressWarnings("unchecked") // As above.
  private static void probe(EngineProfile.Builder builder, HashFactor factor, Object value) {
    builder.probe((Fact<Object>) factor.fact(), value, "handshake");
  }

  @Test
  void withoutAHash_nothingCanBeExplained() {
    EngineProfile known = engine("P", base(), base());
    EngineProfile unknown = EngineProfile.named("D").build();

    assertThat(HashExplanation.of(known, unknown))
        .isEqualTo(new HashExplanation.Unexplained("the hash of D is not known"));
    assertThat(HashExplanation.of(unknown, known))
        .isEqualTo(new HashExplanation.Unexplained("the hash of D is not known"));
  }

  @Test
  void realEngines_thatDifferInTheirType_areExplained() {
    EngineProfile prefill =
        tiny("P", "torch.bfloat16")
            .probe(
                Fact.HASH,
                "d72ebc86d49745f5fdf1a7977e3bc0e6d28323cfa02a03e2302f08ce358a226d",
                "handshake")
            .build();
    EngineProfile decode =
        tiny("D", "torch.bfloat16")
            .probe(
                Fact.HASH,
                "72ded4f02f7d53043b71fda1ce2ca9f7b2d1330f57b9e6ad7cd8efd564518c69",
                "handshake")
            .build();

    assertThat(HashExplanation.of(prefill, decode))
        .isEqualTo(
            new HashExplanation.Differs(
                List.of(new Difference("dtype", "\"torch.bfloat16\"", "\"torch.float32\""))));
  }

  @Test
  void realEngines_thatDifferInTheirModel_areExplained() {
    EngineProfile prefill =
        tiny("P", "torch.bfloat16")
            .probe(
                Fact.HASH,
                "d72ebc86d49745f5fdf1a7977e3bc0e6d28323cfa02a03e2302f08ce358a226d",
                "handshake")
            .build();
    EngineProfile decode =
        tiny("D", "torch.bfloat16")
            .declare(Fact.MODEL, "model-swa", WHERE)
            .probe(
                Fact.HASH,
                "5da14bfd5168e13738ea1b9da283164ef25b2bda88c1ac8bb8d225090bfca138",
                "handshake")
            .build();

    assertThat(HashExplanation.of(prefill, decode))
        .isEqualTo(
            new HashExplanation.Differs(
                List.of(new Difference("model", "\"model\"", "\"model-swa\""))));
  }

  private static EngineProfile.Builder tiny(String name, String dtype) {
    return EngineProfile.named(name)
        .declare(Fact.VLLM_VERSION, "0.32.0", WHERE)
        .declare(Fact.MODEL, "model", WHERE)
        .declareGeometry(
            TestEngines.geometry("block=32,layout=cpu,heads=4,layers=4,head-size=32"), WHERE)
        .declare(Fact.DTYPE, dtype, WHERE)
        .declare(Fact.ATTENTION_BACKEND, "CPU_ATTN", WHERE);
  }

  @Test
  void factors_ofEachVersion_areThoseOfTheHash() {
    for (int version = 1; version <= ConnectorRelease.NEWEST; version++) {
      Map<HashFactor, Object> values = base();
      values.put(HashFactor.NIXL_CONNECTOR_VERSION, version);
      String json = new HashFactors(values).hash().orElseThrow().json();

      assertThat(HashFactor.of(version))
          .as("version %d", version)
          .allMatch(factor -> json.contains('"' + factor.vllmName() + '"'));
      assertThat(HashFactor.of(version)).hasSize(json.split("\": ").length - 1);
    }
  }

  @Test
  void factors_areFoundByVllmsName() {
    assertThat(HashFactor.called("is_hma_enabled")).contains(HashFactor.IS_HMA_ENABLED);
    assertThat(HashFactor.called("block_size")).isEmpty();
  }

  @Test
  void hash_lackingAFactor_isNone() {
    Map<HashFactor, Object> values = base();
    values.remove(HashFactor.IS_HMA_ENABLED);
    assertThat(new HashFactors(values).hash()).isEmpty();

    values.put(HashFactor.NIXL_CONNECTOR_VERSION, 1);
    assertThat(new HashFactors(values).hash()).isPresent();

    values.remove(HashFactor.NIXL_CONNECTOR_VERSION);
    assertThat(new HashFactors(values).hash()).isEmpty();
  }

  @Test
  void hash_isTheOneOfItsFactors() {
    Map<HashFactor, Object> values = base();
    values.put(HashFactor.SPECULATIVE_CONFIG, EAGLE);

    assertThat(new HashFactors(values).hash())
        .contains(
            new CompatibilityHash(
                "9.1.0",
                8,
                "org/model",
                "torch.bfloat16",
                8,
                128,
                32,
                "FLASH_ATTN",
                "auto",
                false,
                true,
                EAGLE.draft().orElseThrow(),
                "pull"));
  }

  /** Whatever one or two factors differ: they are found, and no others. */
  @Property(tries = 60)
  void differences_thatAreSaid_areFoundExactly(@ForAll("someFactors") List<HashFactor> factors) {
    Map<HashFactor, Object> other = base();
    for (HashFactor factor : factors) {
      other = with(other, factor);
    }

    HashExplanation explanation =
        HashExplanation.of(engine("P", base(), base()), engine("D", other, other));

    List<String> expected = new ArrayList<>();
    factors.stream().map(HashFactor::vllmName).sorted().forEach(expected::add);
    assertThat(found(explanation)).containsExactlyElementsOf(expected);
  }

  @Provide
  Arbitrary<List<HashFactor>> someFactors() {
    return Arbitraries.of(HashFactor.class).list().uniqueElements().ofMinSize(1).ofMaxSize(4);
  }
}
