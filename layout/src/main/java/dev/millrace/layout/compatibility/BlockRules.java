package dev.millrace.layout.compatibility;

import java.util.Optional;

/**
 * Sizes of blocks, as the kernels see them. The decode engine reads whole blocks of the prefill
 * engine into parts of its own, so its blocks must be a multiple.
 */
final class BlockRules {
  private final Pair pair;
  private final Findings findings;

  private BlockRules(Pair pair, Findings findings) {
    this.pair = pair;
    this.findings = findings;
  }

  static void judge(Pair pair, Findings findings) {
    BlockRules rules = new BlockRules(pair, findings);
    findings.need(Rule.BLOCK_SIZE, pair, Fact.KERNEL_BLOCK_SIZE);
    if (pair.blocksDiffer()) {
      rules.sizes();
      rules.onCpu();
      rules.withPrefixCache();
      rules.withTensorParallelism();
      rules.ofHybrids();
      rules.throughHostBuffer();
    }
    rules.kernelBlocksOfHybrids();
    rules.memory();
  }

  private void sizes() {
    int prefill = pair.prefill(Fact.KERNEL_BLOCK_SIZE).orElseThrow();
    int decode = pair.decode(Fact.KERNEL_BLOCK_SIZE).orElseThrow();
    if (decode % prefill != 0) {
      findings.refuse(
          Rule.BLOCK_SIZE,
          tokens(pair.prefill()),
          tokens(pair.decode()),
          "choose a --block-size for the decode engine that is a multiple of the prefill engine's;"
              + " or let an agent stand between");
    } else {
      findings.note(
          Rule.BLOCK_SIZE,
          "blocks of %d tokens are read into blocks of %d".formatted(prefill, decode),
          Note.Attention.CANARY);
    }
  }

  private static String tokens(EngineProfile engine) {
    int kernel = engine.value(Fact.KERNEL_BLOCK_SIZE).orElseThrow();
    int perBlock = engine.value(Fact.KERNEL_BLOCKS_PER_BLOCK).orElse(1);
    return perBlock == 1
        ? kernel + " tokens"
        : "%d tokens (%d kernel blocks a block)".formatted(kernel, perBlock);
  }

  private void onCpu() {
    if (pair.isOfBackend(AttentionBackends.CPU)) {
      findings.refuse(
          Rule.CPU_BLOCK_INTERIOR,
          tokens(pair.prefill()),
          tokens(pair.decode()),
          "use the same --block-size on both sides, or let a relay stand between: answers are wrong and"
              + " no counter tells");
    }
  }

  private void withPrefixCache() {
    Optional<Boolean> caching = pair.decode(Fact.PREFIX_CACHING);
    if (caching.isEmpty()) {
      findings.need(Rule.PREFIX_CACHE_SHIFT, Side.DECODE, Fact.PREFIX_CACHING);
    } else if (caching.get()) {
      findings.refuse(
          Rule.PREFIX_CACHE_SHIFT,
          tokens(pair.prefill()),
          "%s, prefix caching on (%s)"
              .formatted(
                  tokens(pair.decode()),
                  pair.decode().known(Fact.PREFIX_CACHING).orElseThrow().where()),
          "start the decode engine with --no-enable-prefix-caching, use the same --block-size on both"
              + " sides, or let a relay stand between: with a prefix hit, wrong blocks are read and no"
              + " counter tells");
    }
  }

  private void withTensorParallelism() {
    int prefill = pair.prefill(Fact.TENSOR_PARALLEL).orElse(1);
    int decode = pair.decode(Fact.TENSOR_PARALLEL).orElse(1);
    if (decode < prefill && !pair.isLatent()) {
      findings.refuse(
          Rule.BLOCK_SIZE_WITH_TENSOR_PARALLEL,
          "%s on %d ranks".formatted(tokens(pair.prefill()), prefill),
          "%s on %d ranks".formatted(tokens(pair.decode()), decode),
          "use the same --block-size on both sides, or at least as many decode as prefill ranks; or let"
              + " a relay stand between");
    }
  }

  private void ofHybrids() {
    boolean maps = pair.release().map(ConnectorRelease::mapsBlocksOfHybrids).orElse(true);
    if (maps || pair.either(Fact.HYBRID_CACHE_MANAGER).equals(Optional.of(false))) {
      return;
    }
    Optional<Integer> groups = pair.groups();
    if (groups.isEmpty()) {
      findings.need(Rule.HYBRID_BLOCK_SIZE, pair, Fact.SHAPE);
    } else if (groups.get() > 1) {
      findings.refuse(
          Rule.HYBRID_BLOCK_SIZE,
          tokens(pair.prefill()),
          tokens(pair.decode()),
          "use vLLM 0.28 or newer, or the same --block-size on both sides; or let a relay stand"
              + " between");
    }
  }

  private void throughHostBuffer() {
    if (pair.decode(Fact.HOST_BUFFER).orElse(false)) {
      findings.refuse(
          Rule.HOST_BUFFER_BLOCK_SIZE,
          tokens(pair.prefill()),
          tokens(pair.decode()) + ", through host memory",
          "leave kv_buffer_device out of the decode engine's --kv-transfer-config, or use the same"
              + " --block-size on both sides");
    }
  }

  private void kernelBlocksOfHybrids() {
    if (pair.isHybrid()
        && pair.differIn(Fact.KERNEL_BLOCKS_PER_BLOCK)
        && pair.decode(Fact.PREFIX_CACHING).orElse(false)) {
      findings.refuse(
          Rule.HYBRID_KERNEL_BLOCKS,
          pair.prefill(Fact.KERNEL_BLOCKS_PER_BLOCK).orElseThrow() + " kernel blocks a block",
          pair.decode(Fact.KERNEL_BLOCKS_PER_BLOCK).orElseThrow()
              + " kernel blocks a block, prefix caching on",
          "start the decode engine with --no-enable-prefix-caching");
    }
  }

  /** Before regions said in which memory they are, readers took their own for the other's. */
  private void memory() {
    boolean described = pair.release().map(ConnectorRelease::describesRegions).orElse(true);
    if (!described && pair.differIn(Fact.HOST_BUFFER)) {
      findings.refuse(
          Rule.BUFFER_MEMORY,
          memory(pair.prefill()),
          memory(pair.decode()),
          "set the same kv_buffer_device on both sides, or use vLLM 0.30 or newer");
    }
  }

  private static String memory(EngineProfile engine) {
    return engine.value(Fact.HOST_BUFFER).orElse(false) ? "host memory" : "device memory";
  }
}
