package dev.millrace.cli;

import dev.millrace.layout.ElementType;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.GeometryText;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The flags that say what the simulated model keeps in its cache, in terms of geometry texts. */
final class ShapeOptions {
  @Option(names = "--layers", paramLabel = "N", description = "Attention layers of the model.")
  private int layers = 4;

  @Option(names = "--kv-heads", paramLabel = "N", description = "KV heads of the model.")
  private int kvHeads = 4;

  @Option(
      names = "--head-size",
      paramLabel = "N",
      description = "Elements per head; with --mla, of the latent.")
  private int headSize = 32;

  @Option(names = "--mla", description = "Multi-head latent attention.")
  private boolean mla;

  @Option(names = "--dtype", description = "Type of the model, and of its cache's elements.")
  private String dtype = "bf16";

  @Option(
      names = "--window",
      paramLabel = "N",
      description = "Tokens of a sliding window in every other layer; without it there is none.")
  private @Nullable Integer window;

  @Option(
      names = "--state",
      paramLabel = "TEXT",
      description =
          "State-space layers beside the attention layers: mamba1:CHANNELS:STATE_SIZE,"
              + " mamba2:HEADS:HEAD_SIZE:GROUPS:STATE_SIZE or"
              + " gdn:KEY_HEADS:VALUE_HEADS:KEY_SIZE:VALUE_SIZE.")
  private @Nullable String state;

  @Option(
      names = "--state-layers",
      paramLabel = "N",
      description = "How many, a multiple of --layers; by default as many.")
  private @Nullable Integer stateLayers;

  @Option(
      names = "--state-dtype",
      paramLabel = "NAME",
      description = "Type of the recurrent state; by default --dtype.")
  private @Nullable String stateDtype;

  @Option(
      names = "--conv",
      paramLabel = "N",
      description = "Inputs that a state's convolution keeps; by default 3.")
  private @Nullable Integer convolution;

  ShapeOptions() {}

  /**
   * The type of the model.
   *
   * @throws IllegalArgumentException if there is none such
   */
  ElementType dtype() {
    return ElementType.parse(dtype);
  }

  /**
   * The geometry of an engine of this model.
   *
   * @param blocks least number of blocks, as the attention kernel counts them
   * @param element type of the cache's elements
   * @throws IllegalArgumentException if there can be no such geometry
   */
  GeometrySpec geometry(
      int tensorParallel, int blockSize, String layout, int blocks, ElementType element) {
    Map<String, Object> keys = new LinkedHashMap<>();
    keys.put("tp", tensorParallel);
    keys.put("block", blockSize);
    keys.put("layout", layout);
    keys.put("layers", layers);
    if (mla) {
      keys.put("latent", headSize);
    } else {
      keys.put("heads", kvHeads);
      keys.put("head-size", headSize);
    }
    keys.put("dtype", element.shortName());
    putIfSaid(keys, "window", window);
    putIfSaid(keys, "state", state);
    putIfSaid(keys, "state-layers", stateLayers);
    putIfSaid(keys, "state-dtype", stateDtype);
    putIfSaid(keys, "conv", convolution);
    int perId = spec(keys).blocksPerId();
    keys.put("per-id", perId);
    keys.put("blocks", Math.ceilDiv(blocks, perId) * perId);
    return spec(keys);
  }

  private static void putIfSaid(Map<String, Object> keys, String key, @Nullable Object value) {
    if (value != null) {
      keys.put(key, value);
    }
  }

  private static GeometrySpec spec(Map<String, Object> keys) {
    List<String> parts = new ArrayList<>();
    keys.forEach((key, value) -> parts.add(key + "=" + value));
    return GeometryText.parse(String.join(",", parts));
  }

  /** The flags of {@code simulate} for an engine with this geometry. */
  static List<String> flags(GeometrySpec spec) {
    List<String> flags = new ArrayList<>();
    for (String part : GeometryText.format(spec).split(",", -1)) {
      String key = part.substring(0, part.indexOf('='));
      String value = part.substring(key.length() + 1);
      switch (key) {
        case "block" -> flags.add("--block-size=" + value);
        case "heads" -> flags.add("--kv-heads=" + value);
        case "latent" -> {
          flags.add("--mla");
          flags.add("--head-size=" + value);
        }
        // Follows from the state.
        case "per-id" -> {}
        default -> flags.add("--" + part);
      }
    }
    return flags;
  }
}
