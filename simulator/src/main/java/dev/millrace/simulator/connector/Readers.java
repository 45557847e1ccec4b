package dev.millrace.simulator.connector;

import java.util.ArrayList;
import java.util.List;

/**
 * Who tells whom that blocks have been read.
 *
 * <p>Every prefill rank must hear from as many decode ranks as it was told to expect, also from
 * those that read nothing from it, or it keeps its blocks to the end of the lease. With {@code D}
 * decode and {@code P} prefill ranks, decode rank <i>r</i> notifies rank <i>r&middot;P/D</i> if
 * {@code D >= P}, and then every prefill rank expects {@code D/P}; otherwise it notifies its {@code
 * P/D} ranks, each of which expects one (vLLM 0.32.0, {@code handshake_target_ranks} and {@code
 * local_consumers}). Sizes of which neither divides the other do not exist in vLLM; there, all
 * notify all.
 */
final class Readers {
  /** One notification to send. */
  record Notice(int decodeRank, int prefillRank, int expectedReaders) {}

  private Readers() {}

  static List<Notice> notices(int decodeRanks, int prefillRanks) {
    List<Notice> notices = new ArrayList<>();
    for (int r = 0; r < decodeRanks; r++) {
      if (decodeRanks % prefillRanks == 0) {
        int ratio = decodeRanks / prefillRanks;
        notices.add(new Notice(r, r / ratio, ratio));
      } else if (prefillRanks % decodeRanks == 0) {
        int ratio = prefillRanks / decodeRanks;
        for (int i = 0; i < ratio; i++) {
          notices.add(new Notice(r, r * ratio + i, 1));
        }
      } else {
        for (int q = 0; q < prefillRanks; q++) {
          notices.add(new Notice(r, q, decodeRanks));
        }
      }
    }
    return notices;
  }
}
