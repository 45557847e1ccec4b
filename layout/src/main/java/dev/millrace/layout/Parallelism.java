package dev.millrace.layout;

/**
 * How an engine is cut into ranks.
 *
 * @param tensor tensor-parallel size
 * @param pipeline pipeline-parallel size
 * @param decodeContext decode-context-parallel size; more than 1 is not planned yet and refused by
 *     name
 */
public record Parallelism(int tensor, int pipeline, int decodeContext) {
  public Parallelism {
    if (tensor < 1 || pipeline < 1 || decodeContext < 1) {
      throw new IllegalArgumentException(
          "parallelism: tensor=%d, pipeline=%d, decodeContext=%d (each >= 1)"
              .formatted(tensor, pipeline, decodeContext));
    }
  }

  /** Tensor parallelism alone. */
  public static Parallelism tensor(int size) {
    return new Parallelism(size, 1, 1);
  }

  /** Number of worker processes. */
  public int ranks() {
    return tensor * pipeline;
  }
}
