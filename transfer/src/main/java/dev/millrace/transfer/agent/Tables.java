package dev.millrace.transfer.agent;

import dev.millrace.layout.BlockTable;
import dev.millrace.layout.CacheGroup;
import dev.millrace.layout.ModelShape;
import java.util.ArrayList;
import java.util.List;

/** Block tables of a hand-off and of its copy. */
final class Tables {
  private Tables() {}

  /** The engine's tables, as {@code remote_block_ids} give them. */
  static List<BlockTable> source(HandOff handOff, ModelShape model, int blockSize) {
    if (handOff.blockIds().size() != model.groups().size()) {
      throw new AgentRefusal(
          Reason.INVALID,
          "block ids of %d KV-cache groups, but the model has %d"
              .formatted(handOff.blockIds().size(), model.groups().size()));
    }
    List<BlockTable> tables = new ArrayList<>();
    for (int group = 0; group < model.groups().size(); group++) {
      int[] ids = handOff.blockIds().get(group).stream().mapToInt(Integer::intValue).toArray();
      tables.add(
          switch (model.groups().get(group)) {
            case CacheGroup.Full full -> BlockTable.of(ids);
            case CacheGroup.SlidingWindow window ->
                BlockTable.suffix(handOff.tokens(), blockSize, ids);
            case CacheGroup.StateSpace state ->
                throw new AgentRefusal(Reason.MISMATCH, "state-space layers cannot be read yet");
          });
    }
    return tables;
  }

  /** How many blocks a copy of tokens {@code [from, to)} needs in each group. */
  static int[] blocks(ModelShape model, int blockSize, int from, int to) {
    int[] counts = new int[model.groups().size()];
    for (int group = 0; group < counts.length; group++) {
      counts[group] =
          Math.ceilDiv(to, blockSize) - firstBlock(model.groups().get(group), blockSize, from, to);
    }
    return counts;
  }

  /** The copy's tables over blocks that were taken for it. */
  static List<BlockTable> target(
      ModelShape model, int blockSize, int from, int to, List<Integer> ids) {
    int[] counts = blocks(model, blockSize, from, to);
    List<BlockTable> tables = new ArrayList<>();
    int used = 0;
    for (int group = 0; group < counts.length; group++) {
      tables.add(
          BlockTable.startingAt(
              firstBlock(model.groups().get(group), blockSize, from, to),
              ids.subList(used, used + counts[group]).stream()
                  .mapToInt(Integer::intValue)
                  .toArray()));
      used += counts[group];
    }
    return tables;
  }

  private static int firstBlock(CacheGroup group, int blockSize, int from, int to) {
    int first =
        switch (group) {
          case CacheGroup.SlidingWindow window -> Math.max(from, to - window.windowTokens());
          case CacheGroup.Full full -> from;
          case CacheGroup.StateSpace state -> from;
        };
    return Math.max(0, first) / blockSize;
  }
}
