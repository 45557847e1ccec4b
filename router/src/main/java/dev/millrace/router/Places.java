package dev.millrace.router;

import dev.millrace.router.choose.Reservation;
import dev.millrace.router.pools.Worker;
import org.jspecify.annotations.Nullable;

/** The places that an exchange holds on workers, at most one per stage. */
final class Places {
  private @Nullable Reservation prefill;
  private @Nullable Reservation decode;

  /** Takes places for both legs; earlier ones are given back. */
  void take(Reservation prefillPlace, Reservation decodePlace) {
    release();
    prefill = prefillPlace;
    decode = decodePlace;
  }

  /** Takes a place for the decode leg; an earlier one is given back. */
  void takeDecode(Reservation place) {
    releaseDecode();
    decode = place;
  }

  /** Who decodes, if that is settled. */
  @Nullable Worker decodeWorker() {
    return decode == null ? null : decode.worker();
  }

  /** Gives the prefill leg's place back, if one is held. */
  void releasePrefill() {
    if (prefill != null) {
      prefill.release();
    }
  }

  /** Gives everything back. */
  void release() {
    releasePrefill();
    releaseDecode();
  }

  private void releaseDecode() {
    if (decode != null) {
      decode.release();
    }
  }
}
