package dev.millrace.layout;

import java.util.List;

/**
 * How an engine lays out its KV cache, all ranks. Built by {@link GeometrySpec#geometry}.
 *
 * @param model what is kept
 * @param parallelism how it is cut into ranks
 * @param blockSize tokens per block
 * @param layout order of the axes inside a block
 * @param ranks pipeline-major: rank (p, t) is at {@code p * parallelism.tensor() + t}
 */
public record Geometry(
    ModelShape model, Parallelism parallelism, int blockSize, Layout layout, List<Rank> ranks) {
  public Geometry {
    ranks = List.copyOf(ranks);
    if (blockSize < 1 || ranks.size() != parallelism.ranks()) {
      throw new IllegalArgumentException(
          "geometry: blockSize=%d (>= 1), %d ranks (expected %d)"
              .formatted(blockSize, ranks.size(), parallelism.ranks()));
    }
  }

  /** The rank at this place of the grid. */
  public Rank rank(int pipeline, int tensor) {
    return ranks.get(pipeline * parallelism.tensor() + tensor);
  }
}
