package dev.millrace.layout.compatibility.matrix;

import java.util.List;

/**
 * A footnote. Numbers 1 to 6 are those of vLLM's page; the others say what connectors do that the
 * page does not speak of.
 *
 * @param number in the table
 * @param wordings by connector version, the oldest first
 */
record Footnote(int number, List<Wording> wordings) {
  /** What it says from a connector version on. */
  record Wording(int since, String text) {}

  static final List<Footnote> ALL =
      List.of(
          new Footnote(
              1,
              List.of(
                  new Wording(1, "P and D must use the same speculation configuration."),
                  new Wording(
                      6,
                      "P and D must use compatible speculation configurations: the method and the"
                          + " draft model of EAGLE and MTP are hashed, the number of tokens may"
                          + " differ."))),
          new Footnote(
              2,
              List.of(
                  new Wording(
                      1,
                      "Needs the FLASH_ATTN or FLASHINFER backend and the HND layout; switched on by"
                          + " --kv-transfer-config '{\"kv_connector_extra_config\":"
                          + " {\"enable_cross_layers_blocks\": \"True\"}}'."),
                  new Wording(
                      3,
                      "Needs FLASH_ATTN, FLASHINFER or TRITON_ATTN, the HND layout, one KV-cache"
                          + " group, and the consent of every child of a MultiConnector; switched on"
                          + " by --kv-transfer-config '{\"kv_connector_extra_config\":"
                          + " {\"enable_cross_layers_blocks\": \"True\"}}'."),
                  new Wording(
                      9,
                      "A choice of layout, no longer hashed; both sides must make the same. Needs one"
                          + " KV-cache group, and the consent of every child of a MultiConnector."))),
          new Footnote(
              3,
              List.of(
                  new Wording(
                      1,
                      "Only when HMA is not required (non-hybrid models). Block IDs are remapped."
                          + " Only P block size < D block size."),
                  new Wording(
                      6,
                      "Block IDs are remapped. Only P block size < D block size, of which it must be"
                          + " a divisor; not with P TP > D TP, nor through a host buffer."))),
          new Footnote(
              4,
              List.of(
                  new Wording(
                      1,
                      "MLA's KV is replicated across TP workers: unequal TP works without head"
                          + " splitting. P TP > D TP does a single read (redundant ranks are"
                          + " skipped); D TP > P TP works too."))),
          new Footnote(
              5,
              List.of(
                  new Wording(1, "Hybrid SSM needs P TP == D TP."),
                  new Wording(
                      3,
                      "States are split, though vLLM's page still asks for P TP == D TP. A model with"
                          + " fewer B and C groups than ranks was read wrong (vllm#55208): let a"
                          + " canary decide."))),
          new Footnote(
              6,
              List.of(
                  new Wording(
                      1,
                      "HMA (needed by hybrid models) does not support a different remote block"
                          + " size."),
                  new Wording(
                      6,
                      "Under HMA since vllm#49612, as in note 3; kernel blocks per block must be"
                          + " equal where D has a prefix cache."))),
          new Footnote(
              7,
              List.of(
                  new Wording(
                      1, "Unknown by vLLM's page; its own tests run one MTP token on Qwen3.5."))),
          new Footnote(
              8,
              List.of(
                  new Wording(
                      1,
                      "Backends of MLA ignore the flag: blocks stay apart on both sides, and"
                          + " fit."))));

  /** What it says for a connector version. */
  String text(int connectorVersion) {
    return wordings.stream()
        .filter(wording -> wording.since() <= connectorVersion)
        .reduce((earlier, later) -> later)
        .orElseThrow()
        .text();
  }
}
