package dev.millrace.config;

import dev.millrace.layout.ModelShape;
import dev.millrace.layout.compatibility.Architecture;
import dev.millrace.layout.compatibility.Fact;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * {@code model-config}: what no engine says of its model, and what decides whether two caches mean
 * the same.
 */
final class DeclaredModel {
  static final int MOST_LAYERS = 10_000;

  private final List<Said<?>> facts = new ArrayList<>();

  /** One fact of it. */
  record Said<T>(Fact<T> fact, T value, String where) {
    Declared addedTo(Declared declared) {
      return declared.with(fact, value, where);
    }
  }

  DeclaredModel(Section section) {
    String where = section.place();
    if (ModelShapeReader.isIn(section)) {
      Optional<ModelShape> shape = ModelShapeReader.read(section);
      shape.ifPresent(read -> facts.add(new Said<>(Fact.SHAPE, read, where)));
    }
    text(section, "name", Fact.MODEL);
    text(section, "revision", Fact.MODEL_REVISION);
    text(section, "rope", Fact.ROPE);
    section
        .find("hidden-layers")
        .ifPresent(field ->
            field
                .integer(1, MOST_LAYERS)
                .ifPresent(n -> facts.add(new Said<>(Fact.HIDDEN_LAYERS, n, field.place()))));
    section
        .find("architecture")
        .ifPresent(field ->
            DeclaredReader.named(field, Architecture.values())
                .ifPresent(a -> facts.add(new Said<>(Fact.ARCHITECTURE, a, field.place()))));
    section
        .find("torch-dtype")
        .ifPresent(field ->
            field
                .text()
                .ifPresent(
                    name -> facts.add(new Said<>(Fact.DTYPE, "torch." + name, field.place()))));
  }

  private void text(Section section, String key, Fact<String> fact) {
    section
        .find(key)
        .ifPresent(field ->
            field.text().ifPresent(said -> facts.add(new Said<>(fact, said, field.place()))));
  }

  List<Said<?>> facts() {
    return List.copyOf(facts);
  }
}
