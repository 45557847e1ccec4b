package dev.millrace.layout;

import java.util.List;

/**
 * One worker process of an engine: its place in the grid of ranks and what it holds.
 *
 * @param pipeline pipeline-parallel rank
 * @param tensor tensor-parallel rank
 * @param regions per KV-cache group, the regions of that group in handshake order
 */
public record Rank(int pipeline, int tensor, List<List<Region>> regions) {
  public Rank {
    regions = regions.stream().map(List::copyOf).toList();
  }
}
