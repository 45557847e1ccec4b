package dev.millrace.router;

import dev.millrace.router.admit.Gate;
import dev.millrace.router.choose.Reservation;
import dev.millrace.router.pools.Worker;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The places that an exchange holds: those that it was admitted to, and on workers, at most one per
 * stage.
 */
final class Places {
  private final List<Gate.Place> admitted = new ArrayList<>(2);
  private @Nullable Reservation prefill;
  private @Nullable Reservation decode;

  /** Takes a place that the exchange was admitted to, until its end. */
  void admitted(Gate.Place place) {
    admitted.add(place);
  }

  /** Takes places for both legs; earlier ones are given back. */
  void take(Reservation prefillPlace, Reservation decodePlace) {
    releasePrefill();
    releaseDecode();
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
    admitted.forEach(Gate.Place::release);
  }

  private void releaseDecode() {
    if (decode != null) {
      decode.release();
    }
  }
}
