package dev.millrace.simulator.connector;

import dev.millrace.simulator.VllmRelease;
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
 * local_consumers}). Sizes of which neither divides the other do not exist in vLLM; there, as many
 * ranks notify each as it waits for.
 */
final class Readers {
  /**
   * One notification to send.
   *
   * @param said the number in it
   */
  record Notice(int decodeRank, int prefillRank, int said) {}

  private Readers() {}

  /**
   * The notifications for one hand-off.
   *
   * @param release that the prefill engine plays
   */
  static List<Notice> notices(int decodeRanks, int prefillRanks, VllmRelease release) {
    List<Notice> notices = new ArrayList<>();
    if (decodeRanks % prefillRanks == 0) {
      int ratio = decodeRanks / prefillRanks;
      int said = release.said(decodeRanks, ratio);
      for (int r = 0; r < decodeRanks; r++) {
        notices.add(new Notice(r, r / ratio, said));
      }
    } else if (prefillRanks % decodeRanks == 0) {
      int ratio = prefillRanks / decodeRanks;
      int said = release.said(decodeRanks, 1);
      for (int q = 0; q < prefillRanks; q++) {
        notices.add(new Notice(q / ratio, q, said));
      }
    } else {
      int said = release.said(decodeRanks, decodeRanks);
      for (int r = 0; r < release.awaited(said, prefillRanks); r++) {
        for (int q = 0; q < prefillRanks; q++) {
          notices.add(new Notice(r, q, said));
        }
      }
    }
    return notices;
  }
}
