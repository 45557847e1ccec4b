package dev.millrace.layout.compatibility;

import java.util.List;

/** What the decode engine's connector compares of the tensors that both have registered. */
final class RegionRules {
  private final Pair pair;
  private final Findings findings;

  private RegionRules(Pair pair, Findings findings) {
    this.pair = pair;
    this.findings = findings;
  }

  static void judge(Pair pair, Findings findings) {
    RegionRules rules = new RegionRules(pair, findings);
    rules.ranks();
    if (pair.bothKnow(Fact.BLOCK_LENS)) {
      rules.regions();
    }
    if (pair.release().map(ConnectorRelease::describesRegions).orElse(false)) {
      rules.names();
    }
  }

  private void ranks() {
    pair.prefill(Fact.RANK_BLOCKS)
        .filter(blocks -> blocks.stream().distinct().count() > 1)
        .ifPresent(blocks ->
            findings.refuse(
                Rule.RANK_BLOCKS,
                "%s blocks".formatted(blocks),
                "-",
                "give each prefill engine an engine_id and a side-channel port of its own: ranks of"
                    + " several engines answer under one id"));
  }

  private void regions() {
    List<Long> prefill = pair.prefill(Fact.BLOCK_LENS).orElseThrow();
    List<Long> decode = pair.decode(Fact.BLOCK_LENS).orElseThrow();
    if (prefill.size() != decode.size()) {
      findings.refuse(
          Rule.REGIONS,
          prefill.size() + " regions",
          decode.size() + " regions",
          "make both engines keep the same layers in the same kind of tensors: same layout, same"
              + " connectors, same draft model");
    } else if (!pair.isHybrid()) {
      lengths(prefill, decode);
    }
  }

  private void lengths(List<Long> prefill, List<Long> decode) {
    if (!pair.bothKnow(Fact.TENSOR_PARALLEL)
        || !pair.bothKnow(Fact.KERNEL_BLOCK_SIZE)
        || (!pair.isLatent() && pair.either(Fact.KV_HEADS).isEmpty())) {
      return;
    }
    int ratio =
        pair.decode(Fact.KERNEL_BLOCK_SIZE).orElseThrow()
            / pair.prefill(Fact.KERNEL_BLOCK_SIZE).orElseThrow();
    for (int i = 0; i < decode.size(); i++) {
      long expected = ratio == 0 ? -1 : split(decode.get(i)) / ratio;
      if (prefill.get(i) != expected && ratio > 0) {
        findings.refuse(
            Rule.REGION_LENGTHS,
            "%d bytes a block in region %d".formatted(prefill.get(i), i),
            "%d bytes, which asks for %d".formatted(decode.get(i), expected),
            "look for an element type, a head size or a number of heads that differs");
        return;
      }
    }
  }

  /** Bytes that a prefill rank has for a block of the decode rank. */
  private long split(long length) {
    int prefillRanks = pair.prefill(Fact.TENSOR_PARALLEL).orElseThrow();
    int decodeRanks = pair.decode(Fact.TENSOR_PARALLEL).orElseThrow();
    int heads = pair.either(Fact.KV_HEADS).orElse(1);
    if (pair.isLatent() || prefillRanks > heads) {
      return length;
    }
    return length * Math.max(1, heads / prefillRanks) / Math.max(1, heads / decodeRanks);
  }

  private void names() {
    if (pair.differIn(Fact.REGION_NAMES)) {
      findings.refuse(
          Rule.REGIONS,
          pair.prefill(Fact.REGION_NAMES).orElseThrow(),
          pair.decode(Fact.REGION_NAMES).orElseThrow(),
          "serve the same model, with the same draft model, on both sides");
    }
  }
}
