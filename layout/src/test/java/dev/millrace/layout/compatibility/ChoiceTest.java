package dev.millrace.layout.compatibility;

import static dev.millrace.layout.compatibility.TestEngines.WHERE;
import static dev.millrace.layout.compatibility.TestEngines.dense;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.Layout;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class ChoiceTest {
  private static final List<Way> AUTO = List.of(Way.values());

  private static EngineProfile.Builder layout(String name, Layout layout) {
    return dense(name).declare(Fact.LAYOUT, layout, WHERE);
  }

  /** Enough for nobody, but for what the hashes prove. */
  private static EngineProfile probed(String name, String hash) {
    return EngineProfile.named(name)
        .probe(Fact.VLLM_VERSION, "0.32.0", "GET /version")
        .probe(Fact.HASH, hash, "handshake")
        .build();
  }

  @Nested
  class Choosing {
    @Test
    void engines_thatFit_needNoAgent() {
      assertThat(Compatibility.choose(dense("P").build(), dense("D").build(), AUTO))
          .isEqualTo(
              new Choice.Use(
                  new Judgement(Way.ENGINE, new Verdict.Fits(), Hashes.UNKNOWN), List.of()));
    }

    @Test
    void layersThatAreContiguous_takeABridge() {
      Choice choice =
          Compatibility.choose(
              layout("P", Layout.CROSS_LAYER_LHN).build(), dense("D").build(), AUTO);

      assertThat(choice).isInstanceOf(Choice.Use.class);
      assertThat(((Choice.Use) choice).chosen().way()).isEqualTo(Way.BRIDGE);
      assertThat(((Choice.Use) choice).before())
          .extracting(Judgement::way)
          .containsExactly(Way.ENGINE);
    }

    @Test
    void allElse_takesARelay() {
      Choice choice =
          Compatibility.choose(dense("P").build(), layout("D", Layout.NHD).build(), AUTO);

      assertThat(((Choice.Use) choice).chosen().way()).isEqualTo(Way.RELAY);
      assertThat(((Choice.Use) choice).before())
          .extracting(Judgement::way)
          .containsExactly(Way.ENGINE, Way.BRIDGE);
    }

    @Test
    void otherModels_takeNothing() {
      EngineProfile decode =
          dense("D").declareGeometry(TestEngines.geometry("layers=4"), WHERE).build();

      Choice choice = Compatibility.choose(dense("P").build(), decode, AUTO);

      assertThat(choice).isInstanceOf(Choice.None.class);
      assertThat(((Choice.None) choice).tried())
          .extracting(Judgement::way)
          .containsExactly(Way.values());
    }

    @ParameterizedTest
    @EnumSource
    void aWayThatIsAskedFor_isTheOnlyOne(Way way) {
      Choice choice = Compatibility.choose(dense("P").build(), dense("D").build(), List.of(way));

      assertThat(((Choice.Use) choice).chosen().way()).isEqualTo(way);
      assertThat(((Choice.Use) choice).before()).isEmpty();
    }

    @Test
    void equalHashes_areEnoughForACanaryOfTheEngines() {
      Choice choice = Compatibility.choose(probed("P", "aa"), probed("D", "aa"), AUTO);

      assertThat(((Choice.Use) choice).chosen().way()).isEqualTo(Way.ENGINE);
      assertThat(((Choice.Use) choice).chosen().verdict()).isInstanceOf(Verdict.Unknown.class);
      assertThat(((Choice.Use) choice).chosen().traffic())
          .isEqualTo(Judgement.Traffic.AFTER_CANARY);
      assertThat(((Choice.Use) choice).before()).isEmpty();
    }

    @Test
    void equalHashes_areNotEnoughForAnAgent() {
      assertThat(
              Compatibility.choose(
                  probed("P", "aa"), probed("D", "aa"), List.of(Way.BRIDGE, Way.RELAY)))
          .isInstanceOf(Choice.None.class);
    }

    @Test
    void unknownHashes_areNotEnoughForAnybody() {
      assertThat(
              Compatibility.choose(
                  EngineProfile.named("P").build(), EngineProfile.named("D").build(), AUTO))
          .isInstanceOf(Choice.None.class);
    }
  }

  @Nested
  class Traffic {
    private static final Verdict FITS = new Verdict.Fits();
    private static final Verdict UNKNOWN =
        new Verdict.Unknown(List.of(new Missing(Rule.MODEL, Side.PREFILL, "model", "ask")));
    private static final Verdict REFUSED =
        new Verdict.Refused(List.of(new Reason(Rule.MODEL, "a", "b", "vLLM", "mend")));

    private static Verdict noted(Note.Attention... attention) {
      return new Verdict.FitsWith(
          List.of(attention).stream().map(each -> new Note(Rule.LAYOUT, "text", each)).toList());
    }

    private static Judgement.Traffic traffic(Way way, Verdict verdict, Hashes hashes) {
      return new Judgement(way, verdict, hashes).traffic();
    }

    @ParameterizedTest
    @CsvSource({"ENGINE, FREELY", "BRIDGE, AFTER_CANARY", "RELAY, AFTER_CANARY"})
    void whatFits_throughAnAgent_needsACanary(Way way, Judgement.Traffic expected) {
      assertThat(traffic(way, FITS, Hashes.EQUAL)).isEqualTo(expected);
      assertThat(traffic(way, noted(Note.Attention.READ), Hashes.EQUAL)).isEqualTo(expected);
    }

    @Test
    void notes_canAskForACanary() {
      assertThat(
              traffic(Way.ENGINE, noted(Note.Attention.READ, Note.Attention.CANARY), Hashes.EQUAL))
          .isEqualTo(Judgement.Traffic.AFTER_CANARY);
    }

    @ParameterizedTest
    @EnumSource
    void refused_carriesNothing(Way way) {
      assertThat(traffic(way, REFUSED, Hashes.EQUAL)).isEqualTo(Judgement.Traffic.NEVER);
    }

    @ParameterizedTest
    @CsvSource({
      "ENGINE, EQUAL, AFTER_CANARY",
      "ENGINE, UNKNOWN, NEVER",
      "ENGINE, UNEQUAL, NEVER",
      "BRIDGE, EQUAL, NEVER",
      "RELAY, EQUAL, NEVER"
    })
    void unknown_isLeftToTheEnginesThemselves(Way way, Hashes hashes, Judgement.Traffic expected) {
      assertThat(traffic(way, UNKNOWN, hashes)).isEqualTo(expected);
    }

    @Test
    void fits_isWhatItSays() {
      assertThat(FITS.fits()).isTrue();
      assertThat(noted(Note.Attention.CANARY).fits()).isTrue();
      assertThat(REFUSED.fits()).isFalse();
      assertThat(UNKNOWN.fits()).isFalse();
    }

    @Test
    void words_areThoseOfRoutingTables() {
      assertThat(List.of(Way.values()))
          .extracting(Object::toString)
          .containsExactly("engine", "bridge", "relay");
      assertThat(new Note(Rule.BLOCK_SIZE, "text", Note.Attention.READ))
          .hasToString("block-size: text");
      assertThat(Architecture.MLA).hasToString("multi-head latent attention");
    }
  }

  @Nested
  class Messages {
    private static Optional<String> message(
        EngineProfile.Builder prefill, EngineProfile.Builder decode) {
      return ConnectorMessage.of(prefill.build(), decode.build());
    }

    private static EngineProfile.Builder block(String name, int tokens) {
      return dense(name)
          .declare(Fact.BLOCK_SIZE, tokens, WHERE)
          .declare(Fact.PREFIX_CACHING, false, WHERE);
    }

    @Test
    void whatFits_isTaken() {
      assertThat(message(dense("P"), dense("D"))).isEmpty();
      assertThat(message(EngineProfile.named("P"), dense("D"))).isEmpty();
    }

    @Test
    void unequalHashes_areSaidFirst() {
      assertThat(
              message(
                  block("P", 64).probe(Fact.HASH, "aa", "handshake"),
                  block("D", 32).probe(Fact.HASH, "bb", "handshake")))
          .contains("NIXL compatibility hash mismatch. Local: bb, Remote: aa.");
    }

    @Test
    void recordedMessages_areWordForWord() {
      assertThat(message(block("P", 64), block("D", 32)))
          .contains("Local block size 32 is not divisible by remote block size 64 or vice versa.");
      assertThat(message(block("P", 32).declare(Fact.TENSOR_PARALLEL, 2, WHERE), block("D", 64)))
          .contains("Different local/remote block sizes are not supported when P TP > D TP.");
    }

    @Test
    void otherMessages_haveBothValues() {
      assertThat(
              message(
                  dense("P").declare(Fact.TENSOR_PARALLEL, 3, WHERE),
                  dense("D").declare(Fact.TENSOR_PARALLEL, 2, WHERE)))
          .contains("tensor-parallel: local 2, remote 3");
    }

    @Test
    void theConnectorsOwnOrder_counts() {
      assertThat(
              message(
                  block("P", 64)
                      .declare(Fact.LAYOUT, Layout.NHD, WHERE)
                      .declare(Fact.TENSOR_PARALLEL, 3, WHERE),
                  block("D", 32).declare(Fact.TENSOR_PARALLEL, 2, WHERE)))
          .contains("tensor-parallel: local 2, remote 3");
    }

    @Test
    void whatTheConnectorDoesNotNotice_isTaken() {
      assertThat(
              message(
                  dense("P").declare(Fact.MODEL_REVISION, "a", WHERE),
                  dense("D").declare(Fact.MODEL_REVISION, "b", WHERE)))
          .isEmpty();
      assertThat(message(dense("P"), dense("D").declare(Fact.BLOCK_SIZE, 32, WHERE))).isEmpty();
    }
  }
}
