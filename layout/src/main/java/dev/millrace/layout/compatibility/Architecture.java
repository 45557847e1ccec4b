package dev.millrace.layout.compatibility;

/** Classes of models that connectors treat alike. */
public enum Architecture {
  DENSE("dense transformer"),
  MLA("multi-head latent attention"),
  SPARSE_MLA("sparse multi-head latent attention"),
  HYBRID("hybrid of attention and state-space layers"),
  MOE("mixture of experts"),
  MULTIMODAL("multimodal"),
  ENCODER_DECODER("encoder-decoder");

  private final String title;

  Architecture(String title) {
    this.title = title;
  }

  /** As it is said. */
  @Override
  public String toString() {
    return title;
  }

  /** Whether every rank keeps the whole cache, so that heads are never split. */
  public boolean isLatent() {
    return this == MLA || this == SPARSE_MLA;
  }
}
