package dev.millrace.simulator.connector;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.simulator.VllmRelease;
import dev.millrace.simulator.connector.Readers.Notice;
import dev.millrace.transfer.sidechannel.ConnectorVersion;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ReadersTest {
  /** Whatever the number means in a release, a prefill rank waits for those that come. */
  @ParameterizedTest
  @CsvSource({"1, 1", "2, 1", "1, 2", "8, 2", "2, 8", "2, 3", "3, 2", "5, 2", "4, 4"})
  void notices_anySizes_everyPrefillRankHearsFromAsManyAsItAwaits(int decode, int prefill) {
    for (ConnectorVersion version : ConnectorVersion.values()) {
      VllmRelease release = new VllmRelease(version);
      for (int rank = 0; rank < prefill; rank++) {
        int of = rank;
        var heard =
            Readers.notices(decode, prefill, release).stream()
                .filter(notice -> notice.prefillRank() == of)
                .toList();
        assertThat(heard)
            .as("%s", version)
            .isNotEmpty()
            .allSatisfy(notice ->
                assertThat(release.awaited(notice.said(), prefill)).isEqualTo(heard.size()))
            .extracting(Notice::decodeRank)
            .doesNotHaveDuplicates();
      }
    }
  }

  @Test
  void notices_moreDecodeRanks_eachTellsItsSource() {
    assertThat(Readers.notices(4, 2, VllmRelease.RECORDED))
        .containsExactly(
            new Notice(0, 0, 2), new Notice(1, 0, 2), new Notice(2, 1, 2), new Notice(3, 1, 2));
  }

  @Test
  void notices_upToVersion7_sayTheReadersTensorParallelSize() {
    VllmRelease old = new VllmRelease(ConnectorVersion.V7);

    assertThat(Readers.notices(4, 2, old)).extracting(Notice::said).containsOnly(4);
    assertThat(Readers.notices(2, 4, old)).extracting(Notice::said).containsOnly(2);
  }
}
