package dev.millrace.config;

import java.util.List;
import java.util.Optional;

/**
 * Shares of a route's requests that go to other pools than its own, such as those of a new version.
 *
 * @param weight of the route's own pools
 * @param session where requests name theirs, all of which then take the same branch; empty: each
 *     request is drawn by itself
 * @param branches at least one, no two with the same name
 */
public record Split(int weight, Optional<SessionKey> session, List<Branch> branches) {
  /** What records and metrics call the route's own pools. */
  public static final String OWN = "own";

  static final int MOST_WEIGHT = 1_000_000;

  public Split {
    branches = List.copyOf(branches);
    requireWeight(weight);
    if (branches.isEmpty() || weight + branches.stream().mapToLong(Branch::weight).sum() == 0) {
      throw new IllegalArgumentException("nothing takes a share: " + branches);
    }
    if (branches.stream().map(Branch::name).distinct().count() < branches.size()
        || branches.stream().anyMatch(branch -> branch.name().equals(OWN))) {
      throw new IllegalArgumentException("two branches have the same name: " + branches);
    }
  }

  static void requireWeight(int weight) {
    if (weight < 0 || weight > MOST_WEIGHT) {
      throw new IllegalArgumentException("weight=%d (0 to %d)".formatted(weight, MOST_WEIGHT));
    }
  }
}
