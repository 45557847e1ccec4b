package dev.millrace.layout.compatibility;

import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.GeometryText;

/** Engines of which enough is declared that two of a kind fit. */
final class TestEngines {
  static final String WHERE = "routes.yaml:1:1";

  private TestEngines() {}

  /** A Llama-like model on vLLM 0.32.0. */
  static EngineProfile.Builder dense(String name) {
    return declared(name, "tp=1,block=16,layout=hnd,heads=8,layers=32,head-size=128,dtype=bf16")
        .declare(Fact.ATTENTION_BACKEND, "FLASH_ATTN", WHERE);
  }

  /** A DeepSeek-like model. */
  static EngineProfile.Builder latent(String name) {
    return declared(name, "tp=1,block=64,layers=27,latent=576,dtype=bf16")
        .declare(Fact.ATTENTION_BACKEND, "FLASHMLA", WHERE);
  }

  /** A model of attention and state-space layers; the shape of its states is not said. */
  static EngineProfile.Builder hybrid(String name) {
    return EngineProfile.named(name)
        .declare(Fact.VLLM_VERSION, "0.32.0", WHERE)
        .declare(Fact.MODEL, "org/hybrid", WHERE)
        .declare(Fact.ARCHITECTURE, Architecture.HYBRID, WHERE)
        .declare(Fact.KV_HEADS, 2, WHERE)
        .declare(Fact.HEAD_SIZE, 128, WHERE)
        .declare(Fact.HIDDEN_LAYERS, 40, WHERE)
        .declare(Fact.DTYPE, "torch.bfloat16", WHERE)
        .declare(Fact.ATTENTION_BACKEND, "FLASH_ATTN", WHERE)
        .declare(Fact.TENSOR_PARALLEL, 1, WHERE)
        .declare(Fact.BLOCK_SIZE, 528, WHERE)
        .declare(Fact.KERNEL_BLOCK_SIZE, 528, WHERE)
        .declare(Fact.PREFIX_CACHING, false, WHERE);
  }

  private static EngineProfile.Builder declared(String name, String geometry) {
    return EngineProfile.named(name)
        .declare(Fact.VLLM_VERSION, "0.32.0", WHERE)
        .declare(Fact.MODEL, "org/model", WHERE)
        .declareGeometry(GeometryText.parse(geometry), WHERE);
  }

  static GeometrySpec geometry(String text) {
    return GeometryText.parse(text);
  }
}
