package dev.millrace.router;

import dev.millrace.router.choose.Reservation;
import dev.millrace.router.pools.Worker;
import java.util.HashSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The places that an exchange holds on workers, at most one per stage, and whom it has given up.
 */
final class Places {
  private @Nullable Reservation prefill;
  private @Nullable Reservation decode;
  private Set<Worker> failed = Set.of();

  /** Takes a place for the prefill leg; an earlier one is given back. */
  void takePrefill(Reservation place) {
    releasePrefill();
    prefill = place;
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

  /** Remembers that a worker has failed this exchange. */
  void blame(Worker worker) {
    if (failed.isEmpty()) {
      failed = new HashSet<>();
    }
    failed.add(worker);
  }

  /** Those that have failed this exchange. */
  Set<Worker> failed() {
    return failed;
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
