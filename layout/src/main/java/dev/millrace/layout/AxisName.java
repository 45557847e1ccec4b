package dev.millrace.layout;

/**
 * The axes that elements are indexed by: LAYER, KV, HEAD, TOKEN and DIM those of an attention
 * cache, LAYER, CHANNEL and DIM those of a state-space layer's state.
 */
public enum AxisName {
  /**
   * Layer, counted within its {@link CacheGroup}: 0 is the first layer of the group, whatever its
   * number in the model.
   */
  LAYER,
  /** 0 is K, 1 is V. MLA's joint latent has the one index 0. */
  KV,
  /** KV head of the whole model, before tensor parallelism. MLA has the one index 0. */
  HEAD,
  /** Token within a block. */
  TOKEN,
  /** Element of one head of one token, or of one channel of a state. */
  DIM,
  /**
   * Channel of a state, before tensor parallelism, counted through all {@linkplain StateShape#parts
   * parts}.
   */
  CHANNEL
}
