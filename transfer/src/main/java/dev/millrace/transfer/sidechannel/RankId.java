package dev.millrace.transfer.sidechannel;

/**
 * Which worker of an engine is asked for.
 *
 * @param pipeline pipeline-parallel rank
 * @param tensor tensor-parallel rank
 */
public record RankId(int pipeline, int tensor) {
  public RankId {
    if (pipeline < 0 || tensor < 0) {
      throw new IllegalArgumentException(
          "rank: pipeline=%d, tensor=%d (each >= 0)".formatted(pipeline, tensor));
    }
  }
}
