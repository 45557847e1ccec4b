package dev.millrace.router.choose;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.DoubleRange;
import org.junit.jupiter.api.Test;

class LinearFitTest {
  /** Whatever the line, it is found, between the samples and beyond them. */
  @Property(tries = 200)
  void at_samplesOfALine_isTheLine(
      @ForAll @DoubleRange(min = 0, max = 1e9) double atZero,
      @ForAll @DoubleRange(min = 0.1, max = 1e5) double perByte) {
    LinearFit fit = new LinearFit();
    for (int i = 1; i <= 20; i++) {
      fit.add(1000L * i, Math.round(atZero + perByte * 1000 * i));
    }

    for (long size : new long[] {500, 10_500, 100_000}) {
      double line = atZero + perByte * size;
      assertThat(fit.at(size)).isCloseTo(line, within(1e-6 * line + 10));
    }
  }

  @Test
  void at_samplesOfOneSize_isInProportion() {
    LinearFit fit = new LinearFit();
    for (int i = 0; i < 10; i++) {
      fit.add(1000, 5_000_000);
    }

    assertThat(fit.at(2000)).isCloseTo(10e6, within(1.0));
  }

  @Test
  void at_aLineThatBeginsBelowZero_isInProportion() {
    LinearFit fit = new LinearFit();
    for (int i = 1; i <= 10; i++) {
      fit.add(1000L * i, 1_000_000L * i * i);
    }

    assertThat(fit.at(10)).isPositive();
  }

  @Test
  void at_thePaceHasChanged_isTheNewOne() {
    LinearFit fit = new LinearFit();
    for (int i = 1; i <= 500; i++) {
      fit.add(1000L + i, 1_000_000);
    }
    for (int i = 1; i <= 500; i++) {
      fit.add(1000L + i, 9_000_000);
    }

    assertThat(fit.at(1250)).isCloseTo(9e6, within(0.2e6));
  }

  @Test
  void isKnown_fromEightOn() {
    LinearFit fit = new LinearFit();
    for (int i = 0; i < LinearFit.ENOUGH - 1; i++) {
      fit.add(1, 1);
    }

    assertThat(fit.isKnown()).isFalse();
    fit.add(1, 1);
    assertThat(fit.isKnown()).isTrue();
  }
}
