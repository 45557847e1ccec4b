package dev.millrace.transfer.nixl;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The memory that runs may touch on one side, by address. Immutable; looked up by every run.
 *
 * <p>NIXL checks ranges, too, but with sums that wrap: a length of -1 passes and ends the process
 * that owns the memory. This table is the check that counts.
 */
final class RegionTable {
  static final RegionTable EMPTY = new RegionTable(new Claims[0]);

  private static final Comparator<Region> BY_ADDRESS_LARGEST_FIRST =
      (a, b) -> {
        int byAddress = Long.compareUnsigned(a.address(), b.address());
        return byAddress != 0 ? byAddress : Long.compare(b.bytes(), a.bytes());
      };

  private final Claims[] sorted;

  private RegionTable(Claims[] sorted) {
    this.sorted = sorted;
  }

  /**
   * A table of these regions. One that lies inside another is dropped, as engines register views of
   * the same memory.
   *
   * @throws IllegalArgumentException if two of them overlap in part
   */
  static RegionTable of(Collection<Region> regions) {
    List<Region> ordered = new ArrayList<>(regions);
    ordered.sort(BY_ADDRESS_LARGEST_FIRST);
    List<Claims> kept = new ArrayList<>(ordered.size());
    for (Region region : ordered) {
      if (!kept.isEmpty()) {
        Region last = kept.getLast().region();
        if (last.contains(region)) {
          continue;
        }
        if (last.overlaps(region)) {
          throw new IllegalArgumentException(
              "two regions overlap: %s and %s".formatted(last, region));
        }
      }
      kept.add(new Claims(region));
    }
    return new RegionTable(kept.toArray(Claims[]::new));
  }

  RegionTable with(Claims added) {
    for (Claims claims : sorted) {
      if (claims.region().overlaps(added.region())) {
        throw new IllegalArgumentException(
            "memory of %s overlaps memory of %s that is registered already"
                .formatted(added.region(), claims.region()));
      }
    }
    Claims[] grown = Arrays.copyOf(sorted, sorted.length + 1);
    grown[sorted.length] = added;
    Arrays.sort(grown, Comparator.comparing(Claims::region, BY_ADDRESS_LARGEST_FIRST));
    return new RegionTable(grown);
  }

  RegionTable without(Claims removed) {
    return new RegionTable(
        Arrays.stream(sorted).filter(claims -> claims != removed).toArray(Claims[]::new));
  }

  /** A table of these regions, in which those that are here already keep their claims. */
  RegionTable renewed(Collection<Region> regions) {
    Claims[] fresh = of(regions).sorted;
    for (int i = 0; i < fresh.length; i++) {
      Claims known = exactly(fresh[i].region());
      if (known != null) {
        fresh[i] = known;
      }
    }
    return new RegionTable(fresh);
  }

  /** The region that holds all of the range, or null. */
  @Nullable Claims find(long address, long bytes) {
    int low = 0;
    int high = sorted.length - 1;
    while (low <= high) {
      int middle = (low + high) >>> 1;
      if (Long.compareUnsigned(sorted[middle].region().address(), address) <= 0) {
        low = middle + 1;
      } else {
        high = middle - 1;
      }
    }
    return high >= 0 && sorted[high].region().contains(address, bytes) ? sorted[high] : null;
  }

  /** The region with exactly these bounds, or null. */
  @Nullable Claims exactly(Region region) {
    Claims found = find(region.address(), region.bytes());
    return found != null && found.region().equals(region) ? found : null;
  }

  List<Claims> all() {
    return List.of(sorted);
  }

  List<Region> regions() {
    return Arrays.stream(sorted).map(Claims::region).toList();
  }

  int size() {
    return sorted.length;
  }
}
