package dev.millrace.config;

import static dev.millrace.config.Complaints.quote;

import dev.millrace.layout.GeometryText;
import dev.millrace.layout.ModelShape;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** What a model keeps in its KV cache, in the terms of {@link GeometryText}, which checks it. */
final class ModelShapeReader {
  /** What only some models keep; their names are those of {@link GeometryText}. */
  private static final List<String> OPTIONAL =
      List.of("window", "state", "state-layers", "state-dtype", "conv");

  /** What every model keeps. */
  private static final List<String> ALWAYS =
      List.of("layers", "kv-heads", "head-size", "latent", "dtype");

  private ModelShapeReader() {}

  /** Whether any of a shape's keys is there; afterwards all of them are known ones. */
  static boolean isIn(Section model) {
    boolean found = false;
    for (List<String> keys : List.of(ALWAYS, OPTIONAL)) {
      for (String key : keys) {
        found |= model.find(key).isPresent();
      }
    }
    return found;
  }

  /** The shape that these keys give; whoever calls sees to other keys. */
  static Optional<ModelShape> read(Section model) {
    List<String> parts = new ArrayList<>();
    Optional<String> layers = part(model.require("layers", "number of attention layers"), "layers");
    Optional<String> dtype =
        part(model.require("dtype", "element type of the cache, such as bf16"), "dtype");
    layers.ifPresent(parts::add);
    dtype.ifPresent(parts::add);
    Optional<String> latent = part(model.find("latent"), "latent");
    latent.ifPresent(parts::add);
    boolean complete = layers.isPresent() && dtype.isPresent();
    Optional<Field> heads = model.find("kv-heads");
    Optional<Field> headSize = model.find("head-size");
    if (latent.isEmpty()) {
      heads = model.require("kv-heads", "KV heads of the whole model; with MLA: latent");
      headSize = model.require("head-size", "elements of a head; with MLA: latent");
      complete &= heads.isPresent() && headSize.isPresent();
    }
    part(heads, "heads").ifPresent(parts::add);
    part(headSize, "head-size").ifPresent(parts::add);
    for (String key : OPTIONAL) {
      part(model.find(key), key).ifPresent(parts::add);
    }
    if (!complete) {
      return Optional.empty();
    }
    try {
      return Optional.of(GeometryText.parse(String.join(",", parts)).model());
    } catch (IllegalArgumentException e) {
      return model.refuse(String.valueOf(e.getMessage()));
    }
  }

  private static Optional<String> part(Optional<Field> field, String key) {
    return field
        .flatMap(Field::text)
        .flatMap(text ->
            text.indexOf(',') >= 0 || text.indexOf('=') >= 0
                ? field.get().refuse("%s is not one value".formatted(quote(text)))
                : Optional.of(key + "=" + text));
  }
}
