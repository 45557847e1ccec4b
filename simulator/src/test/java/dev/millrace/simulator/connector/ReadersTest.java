package dev.millrace.simulator.connector;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.simulator.connector.Readers.Notice;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ReadersTest {
  @ParameterizedTest
  @CsvSource({"1, 1", "2, 1", "1, 2", "8, 2", "2, 8", "2, 3", "3, 2", "4, 4"})
  void notices_anySizes_everyPrefillRankHearsFromAsManyAsItExpects(int decode, int prefill) {
    for (int rank = 0; rank < prefill; rank++) {
      int of = rank;
      var heard =
          Readers.notices(decode, prefill).stream()
              .filter(notice -> notice.prefillRank() == of)
              .toList();
      assertThat(heard)
          .isNotEmpty()
          .allSatisfy(notice -> assertThat(notice.expectedReaders()).isEqualTo(heard.size()));
    }
  }

  @Test
  void notices_moreDecodeRanks_eachTellsItsSource() {
    assertThat(Readers.notices(4, 2))
        .containsExactly(
            new Notice(0, 0, 2), new Notice(1, 0, 2), new Notice(2, 1, 2), new Notice(3, 1, 2));
  }
}
