package dev.millrace.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.Layout;
import dev.millrace.transfer.nixl.Nixl;
import dev.millrace.transfer.nixl.NixlSettings;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Engines that read from each other with NIXL. */
@ExtendWith(NixlTest.WhereInstalled.class)
class NixlTest {
  @RegisterExtension private final EngineInvariants engines = new EngineInvariants();

  /** Skips the test where there is no library, and prints why. */
  static final class WhereInstalled implements ExecutionCondition {
    @Override
    public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
      return switch (Nixl.load(NixlSettings.DEFAULT)) {
        case Nixl.Present _ -> ConditionEvaluationResult.enabled("NIXL is installed");
        case Nixl.Absent(String reason, String remedy) -> {
          String why = "SKIPPED %s: %s; %s".formatted(context.getDisplayName(), reason, remedy);
          System.err.println(why);
          yield ConditionEvaluationResult.disabled(why);
        }
      };
    }
  }

  private SimulatedEngine engine(EngineRole role, int tensor, int block, Layout layout) {
    return engines.start(c ->
        c.role(role)
            .transport(new EngineTransport.Nixl())
            .geometry(EngineInvariants.geometry(tensor, block, layout)));
  }

  @ParameterizedTest
  @CsvSource({"1, 16, 2, 32", "2, 32, 1, 16"})
  void answer_overNixl_equalsAggregatedAndNixlCountsTheBytes(
      int prefillTensor, int prefillBlock, int decodeTensor, int decodeBlock) {
    SimulatedEngine prefill = engine(EngineRole.PREFILL, prefillTensor, prefillBlock, Layout.HND);
    SimulatedEngine decode = engine(EngineRole.DECODE, decodeTensor, decodeBlock, Layout.NHD);
    SimulatedEngine one =
        engines.start(c -> c.geometry(EngineInvariants.geometry(1, 16, Layout.HND)));
    for (int tokens : new int[] {1, 33, 100}) {
      String prompt = Legs.prompt(tokens);
      assertThat(Legs.disaggregated(prefill, decode, prompt, 8))
          .as("%d tokens", tokens)
          .isEqualTo(Legs.aggregated(one, prompt, 8));
    }
    EngineInvariants.await(() -> prefill.stats().releasedHandoffs() == 3);
    assertThat(decode.stats().prefillTokensComputed()).isZero();
    assertThat(decode.nativeTransfers())
        .hasValueSatisfying(moved -> {
          assertThat(moved.bytes()).isEqualTo(decode.stats().bytesTransferred()).isPositive();
          assertThat(moved.library()).startsWith("NIXL ");
        });
    assertThat(Caller.get(decode, "/metrics").body())
        .containsPattern("millrace_sim_native_bytes_total\\{library=\"NIXL [0-9.]+\"} [1-9]");
  }

  @Test
  void prefillDies_readFailsAndNothingIsLeft() {
    SimulatedEngine prefill = engine(EngineRole.PREFILL, 1, 16, Layout.HND);
    SimulatedEngine decode = engine(EngineRole.DECODE, 1, 16, Layout.HND);
    Legs.disaggregated(prefill, decode, Legs.prompt(40), 4);
    String other = "z" + Legs.prompt(40);
    String params = Legs.prefill(prefill, other);
    prefill.close().toCompletionStage().toCompletableFuture().join();

    assertThat(Legs.decode(decode, other, 4, params).statusCode()).isEqualTo(500);
    assertThat(decode.stats().usedBlocks()).isZero();
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void transports_thatDiffer_doNotPair(boolean prefillHasNixl) {
    Duration soon = Duration.ofMillis(300);
    SimulatedEngine tcp = engines.start(c -> c.lease(soon));
    SimulatedEngine nixl = engines.start(c -> c.lease(soon).transport(new EngineTransport.Nixl()));
    SimulatedEngine prefill = prefillHasNixl ? nixl : tcp;
    SimulatedEngine decode = prefillHasNixl ? tcp : nixl;
    String prompt = Legs.prompt(20);
    String params = Legs.prefill(prefill, prompt);

    assertThat(Legs.decode(decode, prompt, 4, params).statusCode()).isEqualTo(500);
  }
}
