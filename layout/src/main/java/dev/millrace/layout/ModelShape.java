package dev.millrace.layout;

import java.util.List;
import java.util.stream.IntStream;

/**
 * What a model keeps in its KV cache, before any engine cuts it up.
 *
 * @param kvHeads KV heads of the whole model; 1 for MLA
 * @param headSize elements of one head of one token; for MLA the latent and the rope part together
 *     (DeepSeek: 576)
 * @param kvParts 2 where K and V are kept, 1 for MLA's joint latent
 * @param element type of the elements in the cache
 * @param groups the KV-cache groups; a model with one kind of attention has one
 */
public record ModelShape(
    int kvHeads, int headSize, int kvParts, ElementType element, List<CacheGroup> groups) {
  public ModelShape {
    if (kvHeads < 1 || headSize < 1 || kvParts < 1 || kvParts > 2 || groups.isEmpty()) {
      throw new IllegalArgumentException(
          "model shape: kvHeads=%d (>= 1), headSize=%d (>= 1), kvParts=%d (1 or 2), %d groups (>= 1)"
              .formatted(kvHeads, headSize, kvParts, groups.size()));
    }
    groups = List.copyOf(groups);
  }

  /** Multi-head or grouped-query attention in every layer. */
  public static ModelShape dense(int layers, int kvHeads, int headSize, ElementType element) {
    return new ModelShape(kvHeads, headSize, 2, element, List.of(CacheGroup.full(layers)));
  }

  /**
   * Multi-head latent attention: one latent per token, which every rank keeps whole.
   *
   * @param latentSize latent and rope part together
   */
  public static ModelShape mla(int layers, int latentSize, ElementType element) {
    return new ModelShape(1, latentSize, 1, element, List.of(CacheGroup.full(layers)));
  }

  /** Whether every tensor-parallel rank keeps the whole cache, as MLA does. */
  public boolean isMla() {
    return kvParts == 1;
  }

  /** Layers of all groups. */
  public int layers() {
    return groups.stream().mapToInt(CacheGroup::layerCount).sum();
  }

  /** Bytes that one token takes in all attention layers and heads. */
  public long bytesPerToken() {
    long attention =
        groups.stream()
            .filter(group -> !(group instanceof CacheGroup.StateSpace))
            .mapToLong(CacheGroup::layerCount)
            .sum();
    return attention * kvParts * kvHeads * headSize * element.bytes();
  }

  /** Bytes that the states of all state-space layers take, however long a sequence is. */
  public long stateBytes() {
    long bytes = 0;
    for (CacheGroup group : groups) {
      if (group instanceof CacheGroup.StateSpace(List<Integer> layers, StateShape state)) {
        bytes += layers.size() * state.bytes();
      }
    }
    return bytes;
  }

  static List<Integer> layerNumbers(int layers) {
    return IntStream.range(0, layers).boxed().toList();
  }
}
