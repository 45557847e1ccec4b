package dev.millrace.layout.compatibility.matrix;

import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/** What stands around the matrix: lists of what holds for all of it. */
public enum Guide {
  WORKS_EVERYWHERE(
      "Works with every architecture",
      List.of(
          new Item(1, "chunked prefill"),
          new Item(1, "automatic prefix caching"),
          new Item(1, "data parallel"),
          new Item(1, "CUDA graphs"),
          new Item(1, "logprobs"),
          new Item(1, "prompt logprobs"),
          new Item(1, "prompt embeds"),
          new Item(1, "several NIXL backends (UCX, GDS, LIBFABRIC, …)"))),
  MUST_MATCH(
      "Must match (the compatibility hash, compared at the handshake)",
      List.of(
          new Item(1, "vLLM version and NIXL connector version"),
          new Item(1, "model (architecture, dtype, KV heads, head size, hidden layers)"),
          new Item(1, "attention backend"),
          new Item(1, "KV cache dtype"),
          new Item(3, "the model's string: a path and a name of one model differ"),
          new Item(3, "hybrid KV-cache manager, on or off"),
          new Item(3, 8, "cross-layer blocks, as they are in effect"),
          new Item(6, "EAGLE/MTP-style speculative method and draft-model configuration"),
          new Item(7, "NIXL transfer mode (push or pull)"))),
  MAY_DIFFER(
      "May differ",
      List.of(
          new Item(1, "tensor-parallel size and block size (within the limits above)"),
          new Item(1, "number of KV blocks"),
          new Item(6, "number of speculative tokens"),
          new Item(6, "attention backend of the draft model (checked by the lengths of blocks)"))),
  LAYOUT(
      "Layout",
      List.of(
          new Item(1, "HND is the default for models other than MLA"),
          new Item(1, "NHD works, but without head splitting for unequal TP"),
          new Item(
              1,
              "HND is permuted into NHD by {\"enable_permute_local_kv\": true}, experimental and not"
                  + " with HMA"))),
  QUANTISED(
      "Quantised KV",
      List.of(
          new Item(1, "the same cache dtype on both sides, else the hash differs"),
          new Item(1, "static scales, from the checkpoint: supported, each side loads its own"),
          new Item(
              1,
              "dynamic scales, computed at run time: not supported, as they are not transferred"),
          new Item(1, "packed layouts, with scales inside the blocks: supported"))),
  ANSWERS_WRONG(
      "Not checked by anybody but Millrace, and answered wrong",
      List.of(
          new Item(1, "unequal block sizes with a prefix cache on D, after a prefix hit"),
          new Item(1, "unequal block sizes with CPU attention"),
          new Item(1, "other revisions, rotary embeddings or overrides of one model string"),
          new Item(3, "Mamba2 with fewer B and C groups than ranks and unequal TP (vllm#55208)")));

  /** A line, and the connector versions for which it holds. */
  private record Item(int since, int until, String text) {
    Item(int since, String text) {
      this(since, Integer.MAX_VALUE, text);
    }
  }

  private final String title;
  private final List<Item> items;

  Guide(String title, List<Item> items) {
    this.title = title;
    this.items = items;
  }

  /** The list's heading. */
  public String title() {
    return title;
  }

  /** What holds for a connector version. */
  public List<String> lines(int connectorVersion) {
    Stream<Item> held =
        items.stream()
            .filter(item -> item.since <= connectorVersion && connectorVersion <= item.until);
    return held.map(Item::text).toList();
  }

  /** Its name, in kebab-case. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
