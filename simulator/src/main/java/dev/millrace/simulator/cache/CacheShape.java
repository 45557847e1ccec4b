package dev.millrace.simulator.cache;

import dev.millrace.layout.BlockTable;
import dev.millrace.layout.CacheGroup;
import dev.millrace.layout.GeometrySpec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * How an engine deals out blocks to the KV-cache groups of a sequence, and which of them it hands
 * to others (vLLM 0.32.0, {@code get_exchange_clipped_blocks}): of a sliding window the last {@code
 * ceil(window / block) + 1} blocks, of state-space layers the one with the last state, of all
 * others every block that has a token.
 *
 * @param spec the engine's geometry
 */
public record CacheShape(GeometrySpec spec) {

  /** Tokens of the blocks that one id stands for. */
  public int idTokens() {
    return spec.blockSize() * spec.blocksPerId();
  }

  /** Ids that there are, the null block's included. */
  public int ids() {
    return spec.blocks() / spec.blocksPerId();
  }

  /** Whether there are states, which hold the whole prefix and cannot be shared part by part. */
  public boolean hasStates() {
    return groups().stream().anyMatch(CacheGroup.StateSpace.class::isInstance);
  }

  /** Whether there is a group that does not keep every token. */
  public boolean hasWindows() {
    return groups().stream().anyMatch(CacheGroup.SlidingWindow.class::isInstance);
  }

  private List<CacheGroup> groups() {
    return spec.model().groups();
  }

  /** Tokens that the blocks of all ids can hold if one sequence has them all. */
  public long capacity() {
    long attention =
        groups().stream().filter(group -> !(group instanceof CacheGroup.StateSpace)).count();
    long states = groups().size() - attention;
    return Math.max(0, (ids() - 1 - states) / Math.max(1, attention) * idTokens());
  }

  /** What a sequence of {@code tokens} tokens wants of each group. */
  public List<BlockPool.Wanted> wanted(int tokens) {
    int all = Math.ceilDiv(tokens, idTokens());
    return groups().stream()
        .map(group ->
            switch (group) {
              case CacheGroup.Full full -> new BlockPool.Wanted(all, all);
              case CacheGroup.SlidingWindow window -> new BlockPool.Wanted(all, reach(window));
              case CacheGroup.StateSpace states -> new BlockPool.Wanted(1, 0);
            })
        .toList();
  }

  private int reach(CacheGroup.SlidingWindow window) {
    return Math.ceilDiv(window.windowTokens(), idTokens());
  }

  /** The blocks that others need of the first {@code tokens} tokens. */
  List<List<Integer>> exported(GroupBlocks blocks, int tokens) {
    List<List<Integer>> exported = new ArrayList<>();
    for (BlockTable table : tables(blocks, 0, tokens)) {
      List<Integer> ids = new ArrayList<>();
      for (int i = 0; i < table.length(); i++) {
        ids.add(table.id(i));
      }
      exported.add(ids);
    }
    return exported;
  }

  /** The tables of the blocks that are exchanged for tokens {@code [from, to)}. */
  List<BlockTable> tables(GroupBlocks blocks, int from, int to) {
    List<BlockTable> tables = new ArrayList<>();
    int first = from / idTokens();
    int end = Math.max(first, Math.ceilDiv(to, idTokens()));
    for (int group = 0; group < groups().size(); group++) {
      int[] ids = blocks.of(group);
      tables.add(
          switch (groups().get(group)) {
            case CacheGroup.Full full -> table(ids, first, end);
            case CacheGroup.SlidingWindow window ->
                table(ids, Math.min(end, Math.max(first, end - reach(window) - 1)), end);
            case CacheGroup.StateSpace states -> BlockTable.of(ids[0]);
          });
    }
    return tables;
  }

  private static BlockTable table(int[] ids, int first, int end) {
    return BlockTable.startingAt(first, Arrays.copyOfRange(ids, first, end));
  }

  /**
   * Why blocks that an engine of this shape has handed out are not enough for tokens {@code [from,
   * to)}; empty if they are.
   *
   * @param ids per group, as it said them
   */
  public Optional<String> lacking(List<List<Integer>> ids, int from, int to) {
    if (ids.size() < groups().size()) {
      return Optional.of(
          "remote_block_ids has %d groups, the model %d".formatted(ids.size(), groups().size()));
    }
    for (int group = 0; group < groups().size() && from < to; group++) {
      long needed =
          switch (groups().get(group)) {
            case CacheGroup.Full full -> Math.ceilDiv(to, idTokens());
            case CacheGroup.SlidingWindow window ->
                Math.ceilDiv(to, idTokens())
                    - Math.max(from, to - window.windowTokens()) / idTokens();
            case CacheGroup.StateSpace states -> 1;
          };
      if (ids.get(group).size() < needed) {
        return Optional.of(
            "the prompt needs %d blocks of KV-cache group %d, remote_block_ids has %d"
                .formatted(needed, group, ids.get(group).size()));
      }
    }
    return Optional.empty();
  }

  /**
   * The tables of blocks that another engine of this shape has handed out.
   *
   * @param ids per group, as it said them; what is more than there are groups is passed over
   * @param tokens that they hold
   */
  public List<BlockTable> handedOut(List<List<Integer>> ids, int tokens) {
    List<BlockTable> tables = new ArrayList<>();
    for (int group = 0; group < groups().size(); group++) {
      int[] own = ids.get(group).stream().mapToInt(Integer::intValue).toArray();
      tables.add(
          switch (groups().get(group)) {
            case CacheGroup.Full full -> BlockTable.of(own);
            case CacheGroup.SlidingWindow window -> BlockTable.suffix(tokens, idTokens(), own);
            case CacheGroup.StateSpace states -> BlockTable.of(own);
          });
    }
    return tables;
  }
}
