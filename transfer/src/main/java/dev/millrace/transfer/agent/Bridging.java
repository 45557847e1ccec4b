package dev.millrace.transfer.agent;

import dev.millrace.layout.BlockTable;
import dev.millrace.layout.CacheGroup;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/** A bridge: meet both engines, and show the one's memory to the other in its own terms. */
final class Bridging {
  private final HandOff handOff;
  private final Reader reader;
  private final VirtualEngines virtual;

  Bridging(HandOff handOff, Reader reader, VirtualEngines virtual) {
    this.handOff = handOff;
    this.reader = reader;
    this.virtual = virtual;
  }

  Carriage run(Engines engines, Deadline deadline) {
    Pair pair = Pair.meet(engines, handOff, reader, deadline);
    Duration met = deadline.elapsed();
    VirtualEngines.Bridge bridge = virtual.bridge(pair.prefill(), pair.decode());
    List<List<Integer>> ids =
        bridge.described().map(anew -> ids(anew, pair.prefill())).orElse(handOff.blockIds());
    HandOff told =
        new HandOff(
            virtual.reached(bridge.engine(), pair.prefill().geometry()),
            handOff.requestId(),
            ids,
            handOff.tokens());
    Duration total = deadline.elapsed();
    return new Carriage(
        told,
        bridge.described().isPresent() ? Carriage.Way.BRIDGED_REGIONS : Carriage.Way.BRIDGED,
        0,
        new Carriage.Steps(
            met, total.minus(met), Duration.ZERO, Duration.ZERO, Duration.ZERO, total));
  }

  /** As many of the smaller blocks as the tokens need: a table that is longer has another start. */
  private List<List<Integer>> ids(Redescription anew, KnownEngine prefill) {
    List<BlockTable> own = Tables.source(handOff, prefill.geometry());
    List<BlockTable> split = anew.split(own);
    int tokensPerId = anew.spec().blockSize() * anew.spec().blocksPerId();
    int all = Math.ceilDiv(handOff.tokens(), tokensPerId);
    List<CacheGroup> groups = prefill.geometry().model().groups();
    List<List<Integer>> ids = new ArrayList<>();
    for (int group = 0; group < groups.size(); group++) {
      BlockTable table =
          groups.get(group) instanceof CacheGroup.StateSpace ? own.get(group) : split.get(group);
      int count =
          groups.get(group) instanceof CacheGroup.StateSpace
              ? table.length()
              : Math.min(table.length(), all - table.firstBlock());
      ids.add(IntStream.range(0, count).mapToObj(table::id).toList());
    }
    return ids;
  }
}
