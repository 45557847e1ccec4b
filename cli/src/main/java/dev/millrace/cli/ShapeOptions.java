package dev.millrace.cli;

import dev.millrace.layout.ElementType;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.ModelShape;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Option;

/** The flags that say what the simulated model keeps in its cache. */
final class ShapeOptions {
  @Option(names = "--layers", paramLabel = "N", description = "Layers of the model.")
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
   * The model's shape with elements of its own type.
   *
   * @throws IllegalArgumentException if there is none such
   */
  ModelShape shape() {
    return shape(dtype());
  }

  /** The same with elements of another type. */
  ModelShape shape(ElementType element) {
    return mla
        ? ModelShape.mla(layers, headSize, element)
        : ModelShape.dense(layers, kvHeads, headSize, element);
  }

  /** The flags of {@code simulate} for an engine with this cache. */
  static List<String> flags(GeometrySpec spec) {
    ModelShape model = spec.model();
    List<String> flags =
        new ArrayList<>(
            List.of(
                "--tp=" + spec.parallelism().tensor(),
                "--block-size=" + spec.blockSize(),
                "--layout=" + spec.layout().shortName(),
                "--blocks=" + spec.blocks(),
                "--layers=" + model.layers(),
                "--head-size=" + model.headSize(),
                "--dtype=" + model.element().shortName()));
    flags.add(model.isMla() ? "--mla" : "--kv-heads=" + model.kvHeads());
    return flags;
  }
}
