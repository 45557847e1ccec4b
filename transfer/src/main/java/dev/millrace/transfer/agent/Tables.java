package dev.millrace.transfer.agent;

import dev.millrace.layout.BlockTable;
import dev.millrace.layout.CacheGroup;
import dev.millrace.layout.Geometry;
import dev.millrace.layout.TokenSpan;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/** Block tables of a hand-off and of its copy, in ids as engines exchange them. */
final class Tables {
  private Tables() {}

  /** The engine's tables, as {@code remote_block_ids} give them. */
  static List<BlockTable> source(HandOff handOff, Geometry engine) {
    List<CacheGroup> groups = engine.model().groups();
    if (handOff.blockIds().size() != groups.size()) {
      throw new AgentRefusal(
          Reason.INVALID,
          "block ids of %d KV-cache groups, but the model has %d"
              .formatted(handOff.blockIds().size(), groups.size()));
    }
    List<BlockTable> tables = new ArrayList<>();
    for (int group = 0; group < groups.size(); group++) {
      int[] ids = handOff.blockIds().get(group).stream().mapToInt(Integer::intValue).toArray();
      tables.add(
          switch (groups.get(group)) {
            case CacheGroup.Full full -> BlockTable.of(ids);
            case CacheGroup.SlidingWindow window ->
                BlockTable.suffix(handOff.tokens(), engine.tokensPerId(), ids);
            case CacheGroup.StateSpace state -> BlockTable.of(ids);
          });
    }
    return tables;
  }

  /**
   * Which ids a copy of a span has in one KV-cache group.
   *
   * @param first number in the sequence of the first
   * @param count how many
   */
  record Need(int first, int count) {}

  /**
   * What a copy needs in each group.
   *
   * @param tokensPerId of the copy
   * @param source the engine's tables: of states, as many are copied as there are
   */
  static List<Need> needs(
      List<CacheGroup> groups, int tokensPerId, TokenSpan span, List<BlockTable> source) {
    List<Need> needs = new ArrayList<>();
    for (int group = 0; group < groups.size(); group++) {
      needs.add(
          switch (groups.get(group)) {
            case CacheGroup.Full full -> tokens(span.from(), span.to(), tokensPerId);
            case CacheGroup.SlidingWindow window ->
                tokens(
                    Math.max(span.from(), span.to() - window.windowTokens()),
                    span.to(),
                    tokensPerId);
            case CacheGroup.StateSpace state -> new Need(0, source.get(group).length());
          });
    }
    return needs;
  }

  /**
   * What an engine hands out of a sequence in each group (vLLM v0.32, {@code
   * get_exchange_clipped_blocks}): of a sliding window one block more than it can need, which a
   * reader may ask for. A decode engine's process ends when it is handed fewer than it has.
   *
   * @param tokensPerId of the engine
   * @param source the tables that are copied: of states, as many are handed out as there are
   */
  static List<Need> handedOut(
      List<CacheGroup> groups, int tokensPerId, int tokens, List<BlockTable> source) {
    List<Need> needs = new ArrayList<>();
    int all = Math.ceilDiv(tokens, tokensPerId);
    for (int group = 0; group < groups.size(); group++) {
      needs.add(
          switch (groups.get(group)) {
            case CacheGroup.Full full -> new Need(0, all);
            case CacheGroup.SlidingWindow window -> {
              int count = Math.min(all, Math.ceilDiv(window.windowTokens(), tokensPerId) + 1);
              yield new Need(all - count, count);
            }
            case CacheGroup.StateSpace state -> new Need(0, source.get(group).length());
          });
    }
    return needs;
  }

  /** Ids of tables, as {@code remote_block_ids} give them. */
  static List<List<Integer>> ids(List<BlockTable> tables) {
    return tables.stream()
        .map(table -> IntStream.range(0, table.length()).mapToObj(table::id).toList())
        .toList();
  }

  private static Need tokens(int from, int to, int tokensPerId) {
    int first = from / tokensPerId;
    return new Need(first, Math.ceilDiv(to, tokensPerId) - first);
  }

  /** Ids of all groups together. */
  static int count(List<Need> needs) {
    return needs.stream().mapToInt(Need::count).sum();
  }

  /** The copy's tables over ids that were taken for it. */
  static List<BlockTable> target(List<Need> needs, List<Integer> ids) {
    List<BlockTable> tables = new ArrayList<>();
    int used = 0;
    for (Need need : needs) {
      int first = used;
      tables.add(
          BlockTable.startingAt(
              need.first(),
              IntStream.range(0, need.count()).map(i -> ids.get(first + i)).toArray()));
      used += need.count();
    }
    return tables;
  }
}
