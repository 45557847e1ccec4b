package dev.millrace.layout;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * The order of the axes inside a block, outermost first. An axis that a layout does not name has a
 * tensor of its own per index: per-layer layouts do not name LAYER, and vLLM's oldest layouts do
 * not name KV. Letters as in vLLM's {@code KVCacheLayout} (L layers, B blocks, H heads, N tokens, C
 * content, that is K and V of one head and token).
 *
 * <p>Eras are those of vLLM's FLASH_ATTN backend: K and V in separate tensors up to v0.21, apart
 * inside a block in v0.23 and v0.24, packed per head and token since v0.27.
 */
public enum Layout {
  /**
   * {@code (B, H, N, [K|V])}, a tensor per layer: a head is contiguous in its block. vLLM's "HND".
   */
  HND("hnd", "LBHNC", AxisName.HEAD, AxisName.TOKEN, AxisName.KV, AxisName.DIM),
  /**
   * {@code (B, N, H, [K|V])}, a tensor per layer: a token is contiguous in its block. vLLM's "NHD".
   */
  NHD("nhd", "LBNHC", AxisName.TOKEN, AxisName.HEAD, AxisName.KV, AxisName.DIM),
  /**
   * {@code (B, KV, H, N, D)}, a tensor per layer: K of all heads, then V of all heads (v0.23,
   * v0.24).
   */
  HND_SPLIT("hnd-split", "LBKHND", AxisName.KV, AxisName.HEAD, AxisName.TOKEN, AxisName.DIM),
  /** {@code (B, KV, N, H, D)}, a tensor per layer (v0.23, v0.24). */
  NHD_SPLIT("nhd-split", "LBKNHD", AxisName.KV, AxisName.TOKEN, AxisName.HEAD, AxisName.DIM),
  /** {@code (B, H, N, D)}, a tensor for K and one for V per layer (up to v0.21). */
  HND_SEPARATE("hnd-separate", "LKBHND", AxisName.HEAD, AxisName.TOKEN, AxisName.DIM),
  /** {@code (B, N, H, D)}, a tensor for K and one for V per layer (up to v0.21). */
  NHD_SEPARATE("nhd-separate", "LKBNHD", AxisName.TOKEN, AxisName.HEAD, AxisName.DIM),
  /**
   * {@code (B, H, L, N, [K|V])}, one tensor: a block holds all layers, head by head. vLLM's
   * cross-layer blocks.
   */
  CROSS_LAYER(
      "cross-layer",
      "BHLNC",
      AxisName.HEAD,
      AxisName.LAYER,
      AxisName.TOKEN,
      AxisName.KV,
      AxisName.DIM),
  /**
   * {@code (B, L, H, N, [K|V])}, one tensor: a block holds one layer after the other, each as HND.
   */
  CROSS_LAYER_LHN(
      "cross-layer-lhn",
      "BLHNC",
      AxisName.LAYER,
      AxisName.HEAD,
      AxisName.TOKEN,
      AxisName.KV,
      AxisName.DIM),
  /**
   * {@code (B, L, N, H, [K|V])}, one tensor: a block holds one layer after the other, each as NHD.
   */
  CROSS_LAYER_LNH(
      "cross-layer-lnh",
      "BLNHC",
      AxisName.LAYER,
      AxisName.TOKEN,
      AxisName.HEAD,
      AxisName.KV,
      AxisName.DIM),
  /** {@code (B, N, [K|V])}, a tensor per layer and head. */
  HEAD_MAJOR("head-major", "LHBNC", AxisName.TOKEN, AxisName.KV, AxisName.DIM),
  /**
   * {@code (B, H, [K: D, N | V: N, D])}, a tensor per layer: what vLLM's CPU attention keeps
   * (v0.32, vector kernels of AVX-512 machines without AMX). K is transposed over the whole block,
   * so its strides depend on the block size.
   */
  CPU_ATTENTION("cpu", "LBHNC", AxisName.HEAD, AxisName.KV, AxisName.TOKEN, AxisName.DIM);

  private final String shortName;
  private final String wireName;
  private final List<AxisName> order;

  Layout(String shortName, String wireName, AxisName... order) {
    this.shortName = shortName;
    this.wireName = wireName;
    this.order = List.of(order);
  }

  /** The name on command lines and in routing tables. */
  public String shortName() {
    return shortName;
  }

  /**
   * The name in a handshake, {@code kv_cache_layout}: vLLM's own where connector version 9 and
   * later know the layout. CPU attention calls itself {@code LBHNC} as HND does; its {@code
   * attn_backend_name} tells them apart.
   */
  public String wireName() {
    return wireName;
  }

  /** The axes inside a block, outermost first. */
  public List<AxisName> order() {
    return order;
  }

  /** Whether a block holds all layers. */
  public boolean isCrossLayer() {
    return order.contains(AxisName.LAYER);
  }

  /**
   * Reads a short name.
   *
   * @throws IllegalArgumentException with the known names, if there is no such layout
   */
  public static Layout parse(String name) {
    String wanted = name.toLowerCase(Locale.ROOT);
    for (Layout layout : values()) {
      if (layout.shortName.equals(wanted)) {
        return layout;
      }
    }
    throw new IllegalArgumentException(
        "\""
            + name
            + "\" is not a layout; known: "
            + String.join(", ", Arrays.stream(values()).map(Layout::shortName).toList()));
  }
}
