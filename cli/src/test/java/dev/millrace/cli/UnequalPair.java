package dev.millrace.cli;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/**
 * A prefill and a decode engine that vLLM's connector refuses to pair, or answers wrong from.
 *
 * @param row its place in the table, from 1
 * @param kept where it is part of the ordinary tests: nowhere, over tcp, or over both transports
 * @param way that {@code transfer: auto} must find
 * @param prefill flags of {@code simulate}
 * @param decode flags of {@code simulate}
 */
record UnequalPair(
    int row, Kept kept, String way, Versions versions, Model model, String prefill, String decode) {

  /** Where the ordinary tests have a pair; the grid has all of them over both transports. */
  enum Kept {
    IN_GRID("-"),
    OVER_TCP("tcp"),
    OVER_BOTH("both");

    private final String word;

    Kept(String word) {
      this.word = word;
    }

    static Kept of(String word) {
      return Arrays.stream(values())
          .filter(kept -> kept.word.equals(word))
          .findFirst()
          .orElseThrow();
    }
  }

  /** Versions of the engines' connectors. */
  record Versions(int prefill, int decode) {
    static Versions of(String text) {
      List<Integer> numbers = Arrays.stream(text.split("/", -1)).map(Integer::valueOf).toList();
      return new Versions(numbers.getFirst(), numbers.getLast());
    }

    @Override
    public String toString() {
      return prefill == decode ? Integer.toString(decode) : prefill + " → " + decode;
    }
  }

  /** Shapes by name. */
  enum Model {
    DENSE(heads(3, 4), "hidden-layers: 3, torch-dtype: bfloat16"),
    TWO_HEADS(heads(3, 2), "hidden-layers: 3"),
    SIX_HEADS(heads(3, 6), "hidden-layers: 3"),
    FLOAT("layers: 3, kv-heads: 4, head-size: 16, dtype: fp32", "hidden-layers: 3"),
    WINDOW(heads(4, 4) + ", window: 40", "hidden-layers: 4"),
    MAMBA1(heads(2, 4) + ", state: mamba1:32:4, state-layers: 4", hybrid(6)),
    MAMBA2(heads(2, 4) + ", state: mamba2:8:4:4:8, state-layers: 4", hybrid(6)),
    DELTA_NET(heads(2, 4) + ", state: gdn:4:8:4:4, state-layers: 6, state-dtype: fp32", hybrid(8)),
    LATENT("layers: 3, latent: 32, dtype: bf16", "hidden-layers: 3");

    /** As an agent's table says it. */
    final String shape;

    /** What a routing table declares in {@code model-config}. */
    final String declared;

    /** As {@code simulate} is told. */
    final String flags;

    Model(String shape, String beside) {
      this.shape = shape;
      this.declared = shape + ", " + beside;
      this.flags =
          "--"
              + shape
                  .replace("latent: ", "mla, head-size: ")
                  .replace(": ", "=")
                  .replace(", ", " --");
    }

    private static String heads(int layers, int heads) {
      return "layers: %d, kv-heads: %d, head-size: 16, dtype: bf16".formatted(layers, heads);
    }

    private static String hybrid(int layers) {
      return "hidden-layers: %d, architecture: hybrid".formatted(layers);
    }
  }

  /** Connectors of vLLM's command line, by the names that the rows use. */
  private static final String ALONE =
      "--kv-transfer-config={\"kv_connector\":\"NixlConnector\",\"kv_role\":\"kv_both\",\"kv_connector_extra_config\":{\"enable_cross_layers_blocks\":true}}";

  /** One child keeps layers apart, so both do. */
  private static final String BESIDE_ANOTHER =
      "--kv-transfer-config={\"kv_connector\":\"PdConnector\",\"kv_role\":\"kv_both\",\"kv_connector_module_path\":\"kvbm.vllm_integration.connector\",\"kv_connector_extra_config\":{\"connectors\":[{\"kv_connector\":\"DynamoConnector\",\"kv_role\":\"kv_both\",\"kv_connector_module_path\":\"kvbm.vllm_integration.connector\"},{\"kv_connector\":\"NixlConnector\",\"kv_role\":\"kv_both\",\"kv_connector_extra_config\":{\"enable_cross_layers_blocks\":true}}]}}";

  private static final String ROWS =
      """
      both | relay  | 14    | DENSE     | --block-size=64 | --block-size=32
      tcp  | relay  | 14    | DENSE     | --block-size=32 | --block-size=64
      -    | relay  | 14    | DENSE     | --block-size=16 | --block-size=128
      tcp  | relay  | 14    | DENSE     | --block-size=32 | --block-size=48
      -    | relay  | 14    | DENSE     | --block-size=48 | --block-size=32
      -    | bridge | 14    | DENSE     | --layout=nhd --block-size=64 | --layout=nhd --block-size=32
      -    | relay  | 14    | DENSE     | --layout=nhd --block-size=32 | --layout=nhd --block-size=64
      -    | relay  | 14    | DENSE     | --layout=hnd | --layout=nhd
      -    | relay  | 14    | DENSE     | --layout=nhd | --layout=hnd
      -    | relay  | 14    | DENSE     | --layout=nhd --block-size=64 | --layout=hnd --block-size=16
      -    | relay  | 14    | DENSE     | --layout=hnd --block-size=16 | --layout=nhd --block-size=64
      -    | relay  | 14    | DENSE     | --layout=nhd --tp=2 | --layout=nhd --tp=4
      -    | relay  | 14    | DENSE     | --layout=nhd --tp=4 | --layout=nhd --tp=1
      -    | relay  | 14    | DENSE     | --block-size=64 --tp=1 | --block-size=32 --tp=2
      both | relay  | 14    | DENSE     | --block-size=32 --tp=2 | --block-size=64 --tp=1 --layout=nhd
      -    | relay  | 14    | DENSE     | --block-size=32 --tp=2 | --block-size=64 --tp=1
      -    | relay  | 14    | DENSE     | --block-size=64 --tp=4 --layout=nhd | --block-size=16 --tp=2
      tcp  | relay  | 14    | DENSE     | --block-size=16 --tp=1 | --block-size=64 --tp=4 --layout=nhd
      -    | relay  | 14    | TWO_HEADS | --tp=4 | --tp=2
      -    | relay  | 14    | SIX_HEADS | --tp=3 | --tp=2
      -    | relay  | 5     | DENSE     | --block-size=32 --tp=2 | --block-size=16 --tp=1
      tcp  | relay  | 2     | DENSE     | ALONE BESIDE | ALONE
      -    | relay  | 2     | DENSE     | ALONE | ALONE BESIDE
      -    | relay  | 2     | DENSE     | --layout=hnd | --layout=cross-layer
      -    | relay  | 4     | DENSE     | ALONE BESIDE | ALONE
      -    | relay  | 4     | DENSE     | ALONE --block-size=32 | ALONE BESIDE --block-size=16
      -    | relay  | 14    | DENSE     | ALONE BESIDE | ALONE
      tcp  | relay  | 14    | DENSE     | ALONE | ALONE BESIDE
      both | bridge | 14    | DENSE     | --layout=cross-layer-lhn | ALONE BESIDE
      -    | bridge | 14    | DENSE     | --layout=cross-layer-lnh | --layout=nhd
      -    | relay  | 14    | DENSE     | --layout=cross-layer --tp=2 | --layout=nhd --tp=1
      -    | relay  | 14    | DENSE     | --layout=cross-layer-lhn --block-size=64 | --layout=hnd --block-size=32 --tp=2
      -    | relay  | 14    | DENSE     | --layout=hnd-split | --layout=hnd
      -    | relay  | 14    | DENSE     | --layout=cpu | --layout=hnd
      -    | relay  | 14    | DENSE     | --layout=hnd --tp=2 | --layout=cpu
      tcp  | relay  | 14    | FLOAT     | --layout=cpu --block-size=32 | --layout=cpu --block-size=64
      -    | relay  | 14    | FLOAT     | --layout=cpu --block-size=64 --tp=1 | --layout=cpu --block-size=32 --tp=2
      -    | relay  | 14    | FLOAT     | --layout=cpu --block-size=32 --tp=2 | --layout=cpu --block-size=64 --tp=1
      -    | relay  | 14    | DENSE     | --layout=cpu --block-size=32 | --layout=cross-layer --block-size=16
      tcp  | relay  | 14    | WINDOW    | --block-size=32 | --block-size=16 --tp=2
      -    | relay  | 14    | WINDOW    | --layout=nhd | --layout=hnd --tp=2
      -    | relay  | 14    | WINDOW    | --block-size=48 --tp=4 | --block-size=32
      both | relay  | 14    | MAMBA2    | --block-size=32 --tp=4 | --block-size=16 --tp=2
      -    | relay  | 14    | MAMBA2    | --layout=nhd --tp=1 | --layout=hnd --tp=4
      -    | relay  | 14    | MAMBA1    | --block-size=32 --tp=2 | --block-size=16 --tp=1
      -    | relay  | 14    | DELTA_NET | --block-size=32 --tp=1 | --block-size=16 --tp=4
      -    | relay  | 4     | MAMBA2    | --block-size=16 --tp=2 | --block-size=32 --tp=4
      tcp  | bridge | 14    | LATENT    | --block-size=64 | --block-size=16 --tp=2
      -    | relay  | 14    | LATENT    | --block-size=48 | --block-size=32
      -    | relay  | 14    | LATENT    | --block-size=16 --tp=2 | --block-size=64 --tp=1
      tcp  | bridge | 14    | DENSE     | --model-path=/models/tiny | --model-path=org/tiny
      -    | relay  | 14    | DENSE     | --model-path=/models/tiny --block-size=32 | --model-path=org/tiny --block-size=16
      -    | bridge | 14    | DENSE     | --cache-dtype=auto | --cache-dtype=bfloat16
      -    | bridge | 14    | DENSE     | --attention-backend=FLASHINFER | --attention-backend=FLASH_ATTN
      tcp  | bridge | 13/14 | DENSE     | --tp=1 | --tp=2
      -    | relay  | 13/14 | DENSE     | --block-size=64 | --block-size=16
      """;

  /** Every row, in the order of the table. */
  static List<UnequalPair> all() {
    List<String> lines = ROWS.lines().toList();
    return Stream.iterate(1, row -> row + 1)
        .limit(lines.size())
        .map(row -> of(row, lines.get(row - 1)))
        .toList();
  }

  private static UnequalPair of(int row, String line) {
    List<String> cells = Arrays.stream(line.split("\\|", -1)).map(String::strip).toList();
    return new UnequalPair(
        row,
        Kept.of(cells.get(0)),
        cells.get(1),
        Versions.of(cells.get(2)),
        Model.valueOf(cells.get(3)),
        cells.get(4),
        cells.get(5));
  }

  /** Flags as {@code simulate} takes them. */
  static List<String> arguments(String flags) {
    return Arrays.stream(
            flags.replace("ALONE BESIDE", BESIDE_ANOTHER).replace("ALONE", ALONE).split(" +", -1))
        .toList();
  }

  /** A cell of a table for people. */
  static String shown(String flags) {
    return flags
        .replace("ALONE BESIDE", "MultiConnector(Dynamo, Nixl: cross-layer)")
        .replace("ALONE", "Nixl: cross-layer")
        .replaceAll("--([a-z-]+)=", "$1 ");
  }

  @Override
  public String toString() {
    return "%d: %s, %s → %s".formatted(row, model, shown(prefill), shown(decode));
  }
}
