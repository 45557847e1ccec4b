package dev.millrace.layout.compatibility;

import java.util.Locale;

/** Where the scales of a quantised KV cache are. */
public enum KvScales {
  /** The cache is not quantised. */
  NONE,
  /** In the checkpoint: each engine loads its own. */
  STATIC,
  /** Computed at run time and kept outside the blocks. */
  DYNAMIC,
  /** Inside the blocks, beside what they scale. */
  INLINE;

  /** As it is said. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** Whether values of vLLM's {@code cache_dtype} have scales inside their blocks (v0.32). */
  static boolean areInline(String cacheDtype) {
    return cacheDtype.contains("per_token_head")
        || cacheDtype.contains("ds_mla")
        || cacheDtype.startsWith("nvfp4");
  }

  /** Whether values of vLLM's {@code cache_dtype} have scales at all (v0.32). */
  static boolean areNeeded(String cacheDtype) {
    return cacheDtype.startsWith("fp8") || cacheDtype.startsWith("int8") || areInline(cacheDtype);
  }
}
