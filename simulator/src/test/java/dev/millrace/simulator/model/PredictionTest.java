package dev.millrace.simulator.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.simulator.model.Prediction.Candidate;
import java.util.Comparator;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;

class PredictionTest {
  @Property
  void candidates_ofTheGreedyAnswer_areADistribution(
      @ForAll long state, @ForAll @IntRange(min = 1, max = 20) int count) {
    List<Candidate> candidates = Spoken.in(0, state).prediction(0).candidates(count);
    assertThat(candidates)
        .hasSize(count)
        .isSortedAccordingTo(Comparator.comparingDouble(Candidate::logProbability).reversed());
    assertThat(candidates).extracting(Candidate::token).doesNotHaveDuplicates();
    assertThat(candidates.stream().mapToDouble(each -> Math.exp(each.logProbability())).sum())
        .isBetween(0.5, 1.0 + 1e-6);
    assertThat(candidates.getFirst().token()).isEqualTo(Prediction.said(state, 0));
  }

  @Property
  void candidates_ofAnotherAnswer_beginWithItsToken(
      @ForAll long state, @ForAll @IntRange(min = 1, max = 40) int choice) {
    List<Candidate> likeliest = Spoken.in(0, state).prediction(0).candidates(5);
    List<Candidate> candidates = Spoken.in(choice, state).prediction(0).candidates(5);
    Candidate said = candidates.getFirst();
    assertThat(said.token()).isEqualTo(Prediction.said(state, choice));
    assertThat(candidates).containsAll(likeliest).doesNotHaveDuplicates();
    assertThat(candidates).hasSize(likeliest.contains(said) ? 5 : 6);
  }

  @Property
  void candidates_noneWanted_areTheTokenAlone(
      @ForAll long state, @ForAll @IntRange(min = 0, max = 40) int choice) {
    assertThat(Spoken.in(choice, state).prediction(0).candidates(0))
        .extracting(Candidate::token)
        .containsExactly(Prediction.said(state, choice));
  }
}
