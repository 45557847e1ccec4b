package dev.millrace.transfer.nixl;

import java.util.Optional;
import java.util.Set;

/**
 * Which NIXL releases may meet. NIXL does not say, and does not notice: release 1.0.0 crashes when
 * it meets 1.5.1 on one host. So two releases meet only if they are equal, or if the pair was
 * tried: blocks and notifications in both directions, over TCP and shared memory.
 */
final class VersionPairs {
  private static final Set<Set<String>> TRIED = Set.of(Set.of("1.4.0", "1.5.1"));

  private VersionPairs() {}

  /** Why the two may not meet, or empty. */
  static Optional<String> refuse(String ours, String theirs) {
    if (ours.equals(NixlInstall.UNKNOWN_VERSION) || theirs.equals(NixlInstall.UNKNOWN_VERSION)) {
      return Optional.of(
          "the NIXL version of %s is not known; set MILLRACE_NIXL_VERSION there"
              .formatted(ours.equals(NixlInstall.UNKNOWN_VERSION) ? "this side" : "the peer"));
    }
    if (ours.equals(theirs) || TRIED.contains(Set.of(ours, theirs))) {
      return Optional.empty();
    }
    return Optional.of(
        "NIXL %s here and %s at the peer have not been tried together; install the same version on both sides"
            .formatted(ours, theirs));
  }
}
