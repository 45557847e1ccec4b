package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import org.junit.jupiter.api.Test;

/** What fills the start-up cache. */
final class RehearsalTest {
  @Test
  void play_goesFromServesFirstStepToItsLast_andEveryRequestIsAnswered() throws Exception {
    assertThat(new Rehearsal(Duration.ofMillis(300)).play()).isGreaterThanOrEqualTo(32);
  }
}
