package dev.millrace.config;

/**
 * Which prefill and decode workers of a route may work together, and what is done where they may
 * not.
 *
 * @param transfer how the KV blocks get from the one to the other
 * @param verify on what ground a pair is used
 * @param canary for which pairs a known prompt must be answered right first
 * @param onMismatch what happens to requests for which no pair fits
 * @param onRecompute what happens when a decode worker is found to have computed a prompt again
 */
public record Pairing(
    Transfer transfer,
    Verify verify,
    CanaryRule canary,
    OnMismatch onMismatch,
    OnRecompute onRecompute) {
  private static final Pairing DEFAULTS =
      new Pairing(
          Transfer.ENGINE, Verify.PROBE, CanaryRule.AUTO, OnMismatch.REFUSE, OnRecompute.COUNT);

  /** Engine transfer between pairs that were probed; nothing else is tried. */
  public static Pairing defaults() {
    return DEFAULTS;
  }

  /** The same by another way. */
  public Pairing withTransfer(Transfer newTransfer) {
    return new Pairing(newTransfer, verify, canary, onMismatch, onRecompute);
  }

  /** The same on another ground. */
  public Pairing withVerify(Verify newVerify) {
    return new Pairing(transfer, newVerify, canary, onMismatch, onRecompute);
  }

  /** The same with another rule for canaries. */
  public Pairing withCanary(CanaryRule newCanary) {
    return new Pairing(transfer, verify, newCanary, onMismatch, onRecompute);
  }

  /** The same with another answer to a mismatch. */
  public Pairing withOnMismatch(OnMismatch newOnMismatch) {
    return new Pairing(transfer, verify, canary, newOnMismatch, onRecompute);
  }

  /** The same with another answer to a prompt that was computed again. */
  public Pairing withOnRecompute(OnRecompute newOnRecompute) {
    return new Pairing(transfer, verify, canary, onMismatch, newOnRecompute);
  }
}
