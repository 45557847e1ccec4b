package dev.millrace.router.match;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.millrace.router.choose.Fingerprint;
import java.util.List;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

/** Which branch takes which key. */
final class SharesTest {
  private static final List<String> NAMES = List.of("own", "next", "after-next", "last");
  private static final int KEYS = 20_000;

  private static int[] picks(List<Integer> weights) {
    Shares shares = new Shares(NAMES.subList(0, weights.size()), weights);
    return IntStream.range(0, KEYS)
        .map(key -> shares.pick(Fingerprint.of("session-" + key)))
        .toArray();
  }

  private static double share(int[] picks, int branch) {
    return IntStream.of(picks).filter(each -> each == branch).count() / (double) KEYS;
  }

  @Test
  void branches_getTheirShares() {
    int[] picks = picks(List.of(90, 0, 7, 3));

    assertThat(share(picks, 0)).isCloseTo(0.90, within(0.01));
    assertThat(share(picks, 1)).isZero();
    assertThat(share(picks, 2)).isCloseTo(0.07, within(0.01));
    assertThat(share(picks, 3)).isCloseTo(0.03, within(0.01));
  }

  @Property(tries = 30)
  void whereOneWeightChanges_keysMoveToItsBranchOrFromItAlone(
      @ForAll @Size(min = 2, max = 4) List<@IntRange(max = 1000) Integer> weights,
      @ForAll @IntRange(min = 1, max = 1000) int changed) {
    List<Integer> before =
        IntStream.range(0, weights.size()).mapToObj(i -> i == 0 ? 1 : weights.get(i)).toList();
    List<Integer> after =
        IntStream.range(0, weights.size()).mapToObj(i -> i == 1 ? changed : before.get(i)).toList();
    int[] first = picks(before);
    int[] then = picks(after);

    for (int key = 0; key < KEYS; key++) {
      if (first[key] != then[key]) {
        assertThat(changed > before.get(1) ? then[key] : first[key]).isEqualTo(1);
      }
    }
  }

  /** What replicas have agreed on does not change with the code. */
  @Test
  void key_takesTheSameBranchForEver() {
    Shares shares = new Shares(List.of("own", "next"), List.of(1, 1));

    assertThat(
            IntStream.range(0, 16)
                .map(key -> shares.pick(Fingerprint.of("session-" + key)))
                .boxed()
                .toList())
        .isEqualTo(List.of(0, 1, 0, 1, 1, 1, 1, 0, 0, 0, 0, 1, 0, 1, 1, 1));
  }
}
