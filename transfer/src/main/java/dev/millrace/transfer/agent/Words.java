package dev.millrace.transfer.agent;

import dev.millrace.layout.Geometry;
import dev.millrace.layout.Parallelism;
import java.util.concurrent.CompletionException;

/** How messages say things. */
final class Words {
  private Words() {}

  static String of(Geometry geometry) {
    Parallelism parallelism = geometry.parallelism();
    return "tp=%d,pp=%d,block=%d,layout=%s,dtype=%s"
        .formatted(
            parallelism.tensor(),
            parallelism.pipeline(),
            geometry.blockSize(),
            geometry.layout().shortName(),
            geometry.model().element().shortName());
  }

  static String of(Throwable failure) {
    Throwable cause = failure;
    while (cause instanceof CompletionException && cause.getCause() != null) {
      cause = cause.getCause();
    }
    String message = cause.getMessage();
    return message == null ? cause.toString() : message;
  }
}
