package dev.millrace.layout;

import java.util.List;

/**
 * How an engine lays out its KV cache, all ranks. Built by {@link GeometrySpec#geometry}.
 *
 * @param model what is kept
 * @param parallelism how it is cut into ranks
 * @param blockSize tokens per block
 * @param layout order of the axes inside a block
 * @param blocksPerId blocks that one id of a block table stands for, see {@link GeometrySpec}
 * @param ranks pipeline-major: rank (p, t) is at {@code p * parallelism.tensor() + t}
 */
public record Geometry(
    ModelShape model,
    Parallelism parallelism,
    int blockSize,
    Layout layout,
    int blocksPerId,
    List<Rank> ranks) {
  public Geometry {
    ranks = List.copyOf(ranks);
    if (blockSize < 1 || blocksPerId < 1 || ranks.size() != parallelism.ranks()) {
      throw new IllegalArgumentException(
          "geometry: blockSize=%d (>= 1), blocksPerId=%d (>= 1), %d ranks (expected %d)"
              .formatted(blockSize, blocksPerId, ranks.size(), parallelism.ranks()));
    }
  }

  /** A geometry of which one id stands for one block. */
  public Geometry(
      ModelShape model, Parallelism parallelism, int blockSize, Layout layout, List<Rank> ranks) {
    this(model, parallelism, blockSize, layout, 1, ranks);
  }

  /** Tokens that one id of a block table stands for. */
  public int tokensPerId() {
    return blockSize * blocksPerId;
  }

  /** The rank at this place of the grid. */
  public Rank rank(int pipeline, int tensor) {
    return ranks.get(pipeline * parallelism.tensor() + tensor);
  }
}
