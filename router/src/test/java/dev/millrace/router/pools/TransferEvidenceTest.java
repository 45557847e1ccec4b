package dev.millrace.router.pools;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.router.pools.TransferEvidence.Counters;
import dev.millrace.router.pools.TransferReport.Measured;
import dev.millrace.router.pools.TransferReport.Unknown;
import dev.millrace.router.pools.TransferReport.Why;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** To whom the counters' rise belongs. */
final class TransferEvidenceTest {
  private final TransferEvidence evidence = new TransferEvidence();
  private final List<TransferReport> first = new ArrayList<>();
  private final List<TransferReport> second = new ArrayList<>();

  private void look(double bytes) {
    assertThat(evidence.lookBegins()).isTrue();
    evidence.lookEnded(new Counters(bytes, bytes / 2, -1, -1));
  }

  @Test
  void oneLegBetweenTwoLooks_hasTheDifference() {
    look(100);
    evidence.end(evidence.begin(first::add));
    look(350);

    assertThat(first).containsExactly(new Measured(250, 125, Optional.empty()));
  }

  @Test
  void overlappingLegs_haveNoFigures() {
    look(100);
    TransferEvidence.Leg one = evidence.begin(first::add);
    TransferEvidence.Leg two = evidence.begin(second::add);
    evidence.end(one);
    evidence.end(two);
    look(350);

    assertThat(first).containsExactly(new Unknown(Why.NOT_ALONE));
    assertThat(second).containsExactly(new Unknown(Why.NOT_ALONE));
  }

  @Test
  void twoLegsInARow_haveNoFigures() {
    look(100);
    evidence.end(evidence.begin(first::add));
    evidence.end(evidence.begin(second::add));
    look(350);

    assertThat(first).containsExactly(new Unknown(Why.NOT_ALONE));
    assertThat(second).containsExactly(new Unknown(Why.NOT_ALONE));
  }

  @Test
  void legThatBeginsDuringALook_hasNoFigures() {
    look(100);
    assertThat(evidence.wantsLook()).as("nothing has happened since").isFalse();
    evidence.end(evidence.begin(first::add));
    assertThat(evidence.lookBegins()).isTrue();
    TransferEvidence.Leg during = evidence.begin(second::add);
    evidence.lookEnded(new Counters(350, 1, -1, -1));
    evidence.end(during);
    look(500);

    assertThat(second).containsExactly(new Unknown(Why.NOT_ALONE));
  }

  @Test
  void firstLook_provesNothing() {
    evidence.end(evidence.begin(first::add));
    look(350);

    assertThat(first).containsExactly(new Unknown(Why.NOT_REPORTED));
  }

  @Test
  void restartedWorker_provesNothing() {
    look(100);
    evidence.end(evidence.begin(first::add));
    look(50);

    assertThat(first).containsExactly(new Unknown(Why.NOT_REPORTED));
  }

  @Test
  void openLeg_isNotLookedAt() {
    look(100);
    TransferEvidence.Leg open = evidence.begin(first::add);
    assertThat(evidence.wantsLook()).isFalse();
    evidence.end(open);
    assertThat(evidence.wantsLook()).isTrue();
  }
}
