package dev.millrace.config;

import static dev.millrace.config.Absence.or;
import static dev.millrace.config.Absence.otherwise;

import dev.millrace.config.Value.Choice;
import dev.millrace.config.Value.Form;
import dev.millrace.config.Value.Whole;
import dev.millrace.layout.ElementType;
import dev.millrace.layout.GeometryText;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;

/** The keys that say what a model keeps in its KV cache. */
final class ModelKeys {
  /** The names by which {@link ElementType#parse} knows its types. */
  private static final Choice ELEMENT_TYPE = elementTypes();

  private static final Pattern STATE =
      Pattern.compile("mamba1(:\\d{1,7}){2}|(mamba2|gdn)(:\\d{1,7}){4}");

  private ModelKeys() {}

  /**
   * The keys.
   *
   * @param absence of those that every shape has
   */
  static List<Key> shape(Absence absence) {
    return List.of(
        new Key("layers", upTo("layers"), absence, "attention layers of the model"),
        new Key(
            "kv-heads",
            upTo("heads"),
            otherwise("required but for MLA"),
            "KV heads of the whole model"),
        new Key(
            "head-size",
            upTo("head-size"),
            otherwise("required but for MLA"),
            "elements of a head"),
        new Key(
            "latent",
            upTo("latent"),
            otherwise("none"),
            "of MLA: elements of a token's latent and its rope part together"),
        new Key("dtype", ELEMENT_TYPE, absence, "type of the cache's elements"),
        new Key(
            "window",
            upTo("window"),
            otherwise("none"),
            "tokens of the sliding window of models whose every other layer slides"),
        new Key(
            "state",
            new Form("a state", STATE),
            otherwise("none"),
            "what state-space layers keep beside the attention layers:"
                + " `mamba1:CHANNELS:STATE_SIZE`, `mamba2:HEADS:HEAD_SIZE:GROUPS:STATE_SIZE` or"
                + " `gdn:KEY_HEADS:VALUE_HEADS:KEY_SIZE:VALUE_SIZE`"),
        new Key(
            "state-layers",
            upTo("state-layers"),
            otherwise("as `layers`"),
            "how many layers keep a state"),
        new Key(
            "state-dtype",
            ELEMENT_TYPE,
            otherwise("as `dtype`"),
            "type of a state's recurrent part"),
        new Key("conv", upTo("conv"), or(3), "inputs that a state's convolution keeps"));
  }

  private static Whole upTo(String key) {
    return new Whole(1, GeometryText.most(key));
  }

  private static Choice elementTypes() {
    Set<String> names = new LinkedHashSet<>();
    Set<String> synonyms = new LinkedHashSet<>();
    for (ElementType type : ElementType.values()) {
      names.add(type.shortName());
      synonyms.add(type.vllmName());
      synonyms.add(type.vllmName().replace("torch.", ""));
    }
    synonyms.removeAll(names);
    return new Choice(List.copyOf(names), List.copyOf(synonyms));
  }
}
