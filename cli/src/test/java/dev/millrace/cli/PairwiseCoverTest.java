package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;

class PairwiseCoverTest {
  @Test
  void cover_hasEveryPairOfValues() {
    Set<String> pairs = new HashSet<>();
    for (int[] combination : PairwiseCover.of(4, 3, 2)) {
      pairs.add("ab " + combination[0] + combination[1]);
      pairs.add("ac " + combination[0] + combination[2]);
      pairs.add("bc " + combination[1] + combination[2]);
    }

    assertThat(pairs).hasSize(4 * 3 + 4 * 2 + 3 * 2);
    assertThat(PairwiseCover.of(4, 3, 2)).hasSizeLessThan(24);
  }

  @Test
  void product_isComplete() {
    assertThat(PairwiseCover.product(2, 3)).hasSize(6).doesNotHaveDuplicates();
  }
}
