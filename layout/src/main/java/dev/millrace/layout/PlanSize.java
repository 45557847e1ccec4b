package dev.millrace.layout;

import java.util.Map;
import java.util.TreeMap;

/**
 * A plan in figures.
 *
 * @param bytesNeeded what the span itself takes at the destination
 * @param bytesMoved what is read; more than needed only under {@link Rounding#WHOLE_BLOCKS}
 * @param runs number of runs, that is of descriptors
 * @param sources number of source ranks that are read from
 * @param shortestRunBytes length of the shortest run; 0 if there is none
 * @param medianRunBytes length that half of the runs do not exceed; 0 if there is none
 */
public record PlanSize(
    long bytesNeeded,
    long bytesMoved,
    long runs,
    int sources,
    long shortestRunBytes,
    long medianRunBytes) {

  /** Counts by walking over all runs. */
  static PlanSize of(Iterable<SourceRead> reads) {
    TreeMap<Long, Long> runsByLength = new TreeMap<>();
    long needed = 0;
    int sources = 0;
    for (SourceRead read : reads) {
      needed += read.bytesNeeded();
      sources++;
      long length = 0;
      long equal = 0;
      for (RunCursor run = read.cursor(); run.next(); ) {
        if (run.bytes() != length) {
          runsByLength.merge(length, equal, Long::sum);
          length = run.bytes();
          equal = 0;
        }
        equal++;
      }
      runsByLength.merge(length, equal, Long::sum);
    }
    runsByLength.remove(0L);
    return of(needed, sources, runsByLength);
  }

  private static PlanSize of(long needed, int sources, TreeMap<Long, Long> runsByLength) {
    long moved = 0;
    long runs = 0;
    for (Map.Entry<Long, Long> entry : runsByLength.entrySet()) {
      moved += entry.getKey() * entry.getValue();
      runs += entry.getValue();
    }
    long shortest = runsByLength.isEmpty() ? 0 : runsByLength.firstKey();
    long median = 0;
    long seen = 0;
    for (Map.Entry<Long, Long> entry : runsByLength.entrySet()) {
      if (2 * seen < runs) {
        median = entry.getKey();
      }
      seen += entry.getValue();
    }
    return new PlanSize(needed, moved, runs, sources, shortest, median);
  }
}
