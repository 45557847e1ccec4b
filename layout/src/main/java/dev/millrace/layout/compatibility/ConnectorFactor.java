package dev.millrace.layout.compatibility;

import java.util.Optional;

/** One factor of the hash, where two engines compare it themselves. */
final class ConnectorFactor {
  private final HashFactor factor;
  private final Pair pair;
  private final Findings findings;

  private ConnectorFactor(HashFactor factor, Pair pair, Findings findings) {
    this.factor = factor;
    this.pair = pair;
    this.findings = findings;
  }

  /**
   * Judges a factor.
   *
   * @param hashed whether the connector's version has it in its hash
   * @param insists whether the decode engine insists on equal hashes
   */
  static void judge(
      HashFactor factor, boolean hashed, boolean insists, Pair pair, Findings findings) {
    ConnectorFactor judge = new ConnectorFactor(factor, pair, findings);
    boolean proven = hashed && pair.hashes() == Hashes.EQUAL;
    if (!pair.bothKnow(factor.fact())) {
      if (hashed && pair.hashes() == Hashes.UNKNOWN) {
        findings.need(FactorRules.rule(factor), pair, factor.fact());
      }
    } else if (judge.differs(hashed)) {
      if (proven) {
        judge.contradict();
      } else if (insists || !judge.canBeOverlooked()) {
        judge.refuse();
      } else {
        judge.overlook();
      }
    }
  }

  /** Whether it differs in a way that matters, whether or not it is hashed. */
  private boolean differs(boolean hashed) {
    return switch (factor) {
      case SPECULATIVE_CONFIG -> speculationDiffers(hashed);
      case IS_HMA_ENABLED -> hashed && pair.differIn(factor.fact());
      // Unequal ones are refused whether or not they are hashed: LayoutRules.
      case CROSS_LAYERS_BLOCKS ->
          hashed && pair.hashes() == Hashes.EQUAL && pair.differIn(factor.fact());
      case MODEL,
          NUM_KV_HEADS,
          HEAD_SIZE,
          NUM_HIDDEN_LAYERS,
          DTYPE,
          CACHE_DTYPE,
          VLLM_VERSION,
          NIXL_CONNECTOR_VERSION,
          ATTN_BACKEND_NAME,
          TRANSFER_MODE ->
          pair.differIn(factor.fact());
    };
  }

  /**
   * Documents of before the hash had it asked for the same configuration; later ones let the number
   * of tokens differ, and only draft models are hashed.
   */
  private boolean speculationDiffers(boolean hashed) {
    SpeculativeSetup prefill = pair.prefill(Fact.SPECULATION).orElseThrow();
    SpeculativeSetup decode = pair.decode(Fact.SPECULATION).orElseThrow();
    return hashed ? !prefill.draft().equals(decode.draft()) : !prefill.equals(decode);
  }

  private void refuse() {
    findings.refuse(rule(), prefill(), decode(), FactorRules.remedy(factor, pair));
  }

  private void contradict() {
    findings.refuse(
        Rule.CONTRADICTION,
        "%s %s, and the decode engine's hash".formatted(factor.vllmName(), prefill()),
        "%s %s, and the prefill engine's hash".formatted(factor.vllmName(), decode()),
        "correct the declaration of %s: the engines' hashes are equal, so it is the same on both"
            .formatted(factor.fact()));
  }

  /** Whether it merely stands for something else that is judged by itself. */
  private boolean canBeOverlooked() {
    return switch (factor) {
      case MODEL, VLLM_VERSION -> true;
      case IS_HMA_ENABLED -> pair.groups().equals(Optional.of(1));
      case NUM_KV_HEADS,
          HEAD_SIZE,
          NUM_HIDDEN_LAYERS,
          DTYPE,
          CACHE_DTYPE,
          NIXL_CONNECTOR_VERSION,
          ATTN_BACKEND_NAME,
          TRANSFER_MODE,
          SPECULATIVE_CONFIG,
          CROSS_LAYERS_BLOCKS ->
          false;
    };
  }

  private void overlook() {
    findings.note(
        rule(),
        "%s differs (prefill %s, decode %s), and the decode engine does not compare it"
            .formatted(factor.vllmName(), prefill(), decode()),
        Note.Attention.CANARY);
  }

  private Rule rule() {
    return FactorRules.rule(factor);
  }

  private String prefill() {
    return FactorRules.said(pair.prefill(factor.fact()));
  }

  private String decode() {
    return FactorRules.said(pair.decode(factor.fact()));
  }
}
