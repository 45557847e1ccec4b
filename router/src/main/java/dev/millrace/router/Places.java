package dev.millrace.router;

import dev.millrace.router.admit.Gate;
import dev.millrace.router.choose.Reservation;
import dev.millrace.router.pools.Worker;
import org.jspecify.annotations.Nullable;

/**
 * The places that an exchange holds: its caller's, on its route, and on workers, at most one per
 * stage.
 */
final class Places {
  private Gate.@Nullable Place ofCaller;
  private Gate.@Nullable Place onRoute;
  private Gate.@Nullable Place inLine;
  private @Nullable Reservation prefill;
  private @Nullable Reservation decode;

  /** Takes one of its caller's places, until its end. */
  void ofCaller(Gate.Place place) {
    ofCaller = place;
  }

  /** Takes a place on its route, until it leaves that. */
  void onRoute(Gate.Place place) {
    onRoute = place;
  }

  /** Is the next to find room on a decode worker, until it leaves the line. */
  void inLine(Gate.Place place) {
    inLine = place;
  }

  /** Lets the next one look for room. */
  void leaveLine() {
    if (inLine != null) {
      inLine.release();
    }
  }

  /** Gives back what it has on its route, which goes on elsewhere. */
  void leaveRoute() {
    releasePrefill();
    releaseDecode();
    leaveLine();
    if (onRoute != null) {
      onRoute.release();
    }
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

  /** So many tokens of the decode worker's KV cache are needed, as is known by now. */
  void decodeNeeds(long kvTokens) {
    if (decode != null) {
      decode.needs(kvTokens);
    }
  }

  /** The decode worker has everything in its KV cache. */
  void decodeArrived() {
    if (decode != null) {
      decode.arrived();
    }
  }

  /** Gives the prefill leg's place back, if one is held. */
  void releasePrefill() {
    if (prefill != null) {
      prefill.release();
    }
  }

  /** Gives everything back. */
  void release() {
    leaveRoute();
    if (ofCaller != null) {
      ofCaller.release();
    }
  }

  private void releaseDecode() {
    if (decode != null) {
      decode.release();
    }
  }
}
