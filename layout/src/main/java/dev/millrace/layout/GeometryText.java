package dev.millrace.layout;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/**
 * Specs as one line of text, for command lines: {@code
 * tp=2,block=16,layout=hnd,heads=8,layers=32,head-size=128,dtype=bf16}.
 *
 * <table>
 * <caption>Keys; what is left out has its default</caption>
 * <tr><th>key</th><th>default</th><th>meaning</th></tr>
 * <tr><td>tp</td><td>1</td><td>tensor-parallel size</td></tr>
 * <tr><td>pp</td><td>1</td><td>pipeline-parallel size</td></tr>
 * <tr><td>dcp</td><td>1</td><td>decode-context-parallel size</td></tr>
 * <tr><td>block</td><td>16</td><td>tokens per block</td></tr>
 * <tr><td>layout</td><td>hnd</td><td>a {@link Layout}'s short name</td></tr>
 * <tr><td>blocks</td><td>1024</td><td>blocks per rank</td></tr>
 * <tr><td>layers</td><td>32</td><td>attention layers of the model</td></tr>
 * <tr><td>heads</td><td>8</td><td>KV heads of the model; not with MLA</td></tr>
 * <tr><td>head-size</td><td>128</td><td>elements per head; not with MLA</td></tr>
 * <tr><td>dtype</td><td>bf16</td><td>an {@link ElementType}'s short name</td></tr>
 * <tr><td>mla</td><td>false</td><td>{@code true}: multi-head latent attention</td></tr>
 * <tr><td>latent</td><td>576</td><td>MLA's latent with its rope part; implies MLA</td></tr>
 * <tr><td>window</td><td>none</td><td>tokens of a sliding window in every other layer, the first
 *     included; those layers are KV-cache group 0</td></tr>
 * <tr><td>state</td><td>none</td><td>state-space layers beside the attention layers, such as {@code
 *     mamba2:48:64:1:128}: mamba1:CHANNELS:STATE_SIZE, mamba2:HEADS:HEAD_SIZE:GROUPS:STATE_SIZE or
 *     gdn:KEY_HEADS:VALUE_HEADS:KEY_SIZE:VALUE_SIZE</td></tr>
 * <tr><td>state-layers</td><td>layers</td><td>how many, a multiple of layers; an attention layer
 *     follows each equal share of them</td></tr>
 * <tr><td>state-dtype</td><td>dtype</td><td>type of the recurrent state</td></tr>
 * <tr><td>conv</td><td>3</td><td>inputs that the convolution keeps: one fewer than its kernel is
 *     wide</td></tr>
 * <tr><td>per-id</td><td>as many as a state needs, or 1</td><td>blocks that one id of a block table
 *     stands for</td></tr>
 * </table>
 */
public final class GeometryText {
  private static final int DEFAULT_LATENT = 576;

  /** Known keys and the largest number each may have; 0 where the value is no number. */
  private static final Map<String, Integer> KEYS = new LinkedHashMap<>();

  static {
    KEYS.put("tp", 256);
    KEYS.put("pp", 15);
    KEYS.put("dcp", 256);
    KEYS.put("block", 1 << 20);
    KEYS.put("layout", 0);
    KEYS.put("blocks", Integer.MAX_VALUE);
    KEYS.put("layers", 1 << 10);
    KEYS.put("heads", 1 << 10);
    KEYS.put("head-size", 1 << 20);
    KEYS.put("dtype", 0);
    KEYS.put("mla", 0);
    KEYS.put("latent", 1 << 20);
    KEYS.put("window", Integer.MAX_VALUE);
    KEYS.put("state", 0);
    KEYS.put("state-layers", 1 << 10);
    KEYS.put("state-dtype", 0);
    KEYS.put("conv", 1 << 10);
    KEYS.put("per-id", 1 << 16);
  }

  private final String text;
  private final Map<String, String> values = new LinkedHashMap<>();

  private GeometryText(String text) {
    this.text = text;
    for (String part : text.split(",", -1)) {
      if (!part.isBlank()) {
        put(part.strip());
      }
    }
  }

  /**
   * Reads a spec.
   *
   * @throws IllegalArgumentException if a key is unknown (the message has the known ones), stands
   *     twice, contradicts another one or has a value that cannot be
   */
  public static GeometrySpec parse(String text) {
    return new GeometryText(text).spec();
  }

  /**
   * Writes a spec so that {@link #parse} gives it back; every key that applies is there.
   *
   * @throws IllegalArgumentException if its KV-cache groups are none that the text can say
   */
  public static String format(GeometrySpec spec) {
    ModelShape model = spec.model();
    Parallelism parallelism = spec.parallelism();
    List<String> parts = new ArrayList<>();
    parts.add("tp=" + parallelism.tensor());
    if (parallelism.pipeline() > 1) {
      parts.add("pp=" + parallelism.pipeline());
    }
    if (parallelism.decodeContext() > 1) {
      parts.add("dcp=" + parallelism.decodeContext());
    }
    parts.add("block=" + spec.blockSize());
    parts.add("layout=" + spec.layout().shortName());
    parts.add("blocks=" + spec.blocks());
    parts.add(format(model));
    if (spec.blocksPerId() > 1) {
      parts.add("per-id=" + spec.blocksPerId());
    }
    String text = String.join(",", parts);
    if (!parse(text).equals(spec)) {
      throw new IllegalArgumentException(
          "these KV-cache groups cannot be written as text: " + model.groups());
    }
    return text;
  }

  /** Writes the part of a spec that is the model's, as far as text can say it. */
  public static String format(ModelShape model) {
    List<String> parts = new ArrayList<>();
    parts.add("layers=" + attentionLayers(model));
    if (model.isMla()) {
      parts.add("latent=" + model.headSize());
    } else {
      parts.add("heads=" + model.kvHeads());
      parts.add("head-size=" + model.headSize());
    }
    parts.add("dtype=" + model.element().shortName());
    switch (model.groups().getFirst()) {
      case CacheGroup.Full full -> {}
      case CacheGroup.SlidingWindow window -> parts.add("window=" + window.windowTokens());
      case CacheGroup.StateSpace(List<Integer> _, StateShape state) ->
          StateText.format(state).ifPresent(text -> addState(parts, model, state, text));
    }
    return String.join(",", parts);
  }

  /** The largest number that a key may have; the least is 1. */
  public static int most(String key) {
    Integer most = KEYS.get(key);
    if (most == null || most == 0) {
      throw new IllegalArgumentException("no number stands at " + key);
    }
    return most;
  }

  private static int attentionLayers(ModelShape model) {
    return model.layers() - stateLayers(model);
  }

  private static int stateLayers(ModelShape model) {
    return model.groups().stream()
        .filter(CacheGroup.StateSpace.class::isInstance)
        .mapToInt(CacheGroup::layerCount)
        .sum();
  }

  private static void addState(
      List<String> parts, ModelShape model, StateShape state, String text) {
    parts.add("state=" + text);
    parts.add("state-layers=" + stateLayers(model));
    parts.add("state-dtype=" + state.parts().getLast().element().shortName());
    parts.add("conv=" + state.parts().getFirst().elementsPerChannel());
  }

  private void put(String part) {
    int equals = part.indexOf('=');
    String key = equals < 0 ? part : part.substring(0, equals).strip();
    if (!KEYS.containsKey(key)) {
      throw complaint(
          "\"%s\" is not a key; known keys: %s".formatted(key, String.join(", ", KEYS.keySet())));
    }
    if (equals < 0) {
      throw complaint("\"%s\" has no value; write %s=…".formatted(key, key));
    }
    if (values.put(key, part.substring(equals + 1).strip()) != null) {
      throw complaint("\"%s\" stands twice".formatted(key));
    }
  }

  private GeometrySpec spec() {
    Parallelism parallelism = new Parallelism(number("tp", 1), number("pp", 1), number("dcp", 1));
    int block = number("block", 16);
    Layout layout = named("layout", Layout.HND, Layout::parse);
    ModelShape model = model();
    int perId =
        values.containsKey("state") && !values.containsKey("per-id")
            ? leastBlocksPerId(new GeometrySpec(model, parallelism, block, layout, 1))
            : number("per-id", 1);
    int blocks = number("blocks", Math.ceilDiv(1024, perId) * perId);
    if (blocks % perId != 0) {
      throw complaint("blocks=%d is no multiple of per-id=%d".formatted(blocks, perId));
    }
    return new GeometrySpec(model, parallelism, block, layout, blocks, perId);
  }

  private int leastBlocksPerId(GeometrySpec spec) {
    try {
      return spec.leastBlocksPerId();
    } catch (IncompatibleGeometry e) {
      throw complaint(String.valueOf(e.getMessage()));
    }
  }

  private ModelShape model() {
    ElementType element = named("dtype", ElementType.BFLOAT16, ElementType::parse);
    List<CacheGroup> groups = groups(number("layers", 32), element);
    if (isMla()) {
      forbidWithMla("heads");
      forbidWithMla("head-size");
      return new ModelShape(1, number("latent", DEFAULT_LATENT), 1, element, groups);
    }
    return new ModelShape(number("heads", 8), number("head-size", 128), 2, element, groups);
  }

  private boolean isMla() {
    String mla = values.get("mla");
    if (mla == null) {
      return values.containsKey("latent");
    }
    return switch (mla) {
      case "true" -> true;
      case "false" -> {
        if (values.containsKey("latent")) {
          throw complaint("\"latent\" is MLA's, so mla=false contradicts it");
        }
        yield false;
      }
      default -> throw complaint("mla=%s is neither true nor false".formatted(mla));
    };
  }

  private void forbidWithMla(String key) {
    if (values.containsKey(key)) {
      throw complaint(
          "MLA keeps one latent per token, so \"%s\" has no meaning; use latent=…".formatted(key));
    }
  }

  /** As vLLM groups a model whose layers take turns, sliding first (v0.32, Gemma 3). */
  private List<CacheGroup> groups(int layers, ElementType element) {
    if (values.containsKey("state")) {
      return withStates(layers, element);
    }
    for (String key : List.of("state-layers", "state-dtype", "conv")) {
      if (values.containsKey(key)) {
        throw complaint("\"%s\" has no meaning without state=…".formatted(key));
      }
    }
    if (!values.containsKey("window")) {
      return List.of(CacheGroup.full(layers));
    }
    int window = number("window", 1);
    List<Integer> sliding = new ArrayList<>();
    List<Integer> full = new ArrayList<>();
    for (int layer = 0; layer < layers; layer++) {
      (layer % 2 == 0 ? sliding : full).add(layer);
    }
    if (full.isEmpty()) {
      throw complaint("window=… is for every other layer, so there must be at least 2 layers");
    }
    return List.of(new CacheGroup.SlidingWindow(sliding, window), new CacheGroup.Full(full));
  }

  private List<CacheGroup> withStates(int layers, ElementType element) {
    if (values.containsKey("window")) {
      throw complaint("window=… and state=… cannot be said together");
    }
    ElementType temporal = named("state-dtype", element, ElementType::parse);
    var convolution = new StateShape.Convolution(number("conv", 3), element);
    try {
      StateShape state = StateText.parse(values.getOrDefault("state", ""), convolution, temporal);
      return StateText.groups(layers, number("state-layers", layers), state);
    } catch (IllegalArgumentException e) {
      throw complaint(String.valueOf(e.getMessage()));
    }
  }

  private <T> T named(String key, T missing, Function<String, T> parser) {
    String value = values.get(key);
    if (value == null) {
      return missing;
    }
    try {
      return parser.apply(value);
    } catch (IllegalArgumentException unknown) {
      throw complaint(String.valueOf(unknown.getMessage()));
    }
  }

  private int number(String key, int missing) {
    String value = values.get(key);
    if (value == null) {
      return missing;
    }
    int most = KEYS.getOrDefault(key, 0);
    try {
      int number = Integer.parseInt(value);
      if (number >= 1 && number <= most) {
        return number;
      }
    } catch (NumberFormatException notANumber) {
      // Said below, in the same words as a number out of range.
    }
    throw complaint("%s=%s is not a whole number from 1 to %d".formatted(key, value, most));
  }

  private IllegalArgumentException complaint(String what) {
    return new IllegalArgumentException("geometry \"" + text + "\": " + what);
  }
}
