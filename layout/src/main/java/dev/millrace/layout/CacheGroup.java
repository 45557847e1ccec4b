package dev.millrace.layout;

import java.util.List;

/**
 * Layers that share one block table (vLLM: a KV-cache group). Layer <i>j</i> of every group lives
 * in the same tensor, so groups share memory and a block id belongs to one group at a time (vLLM
 * v0.32, hybrid KV-cache manager).
 */
public sealed interface CacheGroup {

  /** Numbers of the group's layers in the model, ascending. */
  List<Integer> layers();

  default int layerCount() {
    return layers().size();
  }

  /** Every token is kept. */
  record Full(List<Integer> layers) implements CacheGroup {
    public Full {
      layers = List.copyOf(layers);
    }
  }

  /**
   * Only the blocks that reach into the last {@code windowTokens} tokens exist.
   *
   * @param windowTokens how far back a token attends, itself included
   */
  record SlidingWindow(List<Integer> layers, int windowTokens) implements CacheGroup {
    public SlidingWindow {
      layers = List.copyOf(layers);
      if (windowTokens < 1) {
        throw new IllegalArgumentException("windowTokens=" + windowTokens + " (>= 1)");
      }
    }
  }

  /**
   * State-space layers (Mamba, gated delta nets): a block holds a layer's whole state instead of
   * tokens. The last block of a table holds the state behind the last token.
   *
   * @param state what a layer keeps
   */
  record StateSpace(List<Integer> layers, StateShape state) implements CacheGroup {
    public StateSpace {
      layers = List.copyOf(layers);
    }
  }

  /** The one group of a model in which layers {@code 0..layers-1} attend to everything. */
  static CacheGroup full(int layers) {
    return new Full(ModelShape.layerNumbers(layers));
  }
}
