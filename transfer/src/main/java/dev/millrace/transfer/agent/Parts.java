package dev.millrace.transfer.agent;

import dev.millrace.layout.Geometry;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.TokenSpan;
import java.util.ArrayList;
import java.util.List;

/**
 * Cuts a span of tokens into parts that are read one after the other, so that there is progress to
 * report, something to free when a read is given up, and an end to what is in flight.
 *
 * <p>Parts begin and end with a block on both sides; a model with several KV-cache groups has one
 * part, because a sliding window ends with the whole sequence and not with a part of it, and so
 * does a state.
 */
final class Parts {
  /** Enough that starting a part costs nothing, little enough to be a fraction of a second. */
  static final long PART_BYTES = 32L << 20;

  private Parts() {}

  static List<TokenSpan> of(TokenSpan span, Geometry source, Geometry target, long partBytes) {
    ModelShape model = source.model();
    if (model.groups().size() > 1 || model.bytesPerToken() == 0) {
      return List.of(span);
    }
    long step = lcm(source.tokensPerId(), target.tokensPerId());
    long tokens = Math.max(1, partBytes / model.bytesPerToken() / step) * step;
    List<TokenSpan> parts = new ArrayList<>();
    long from = span.from();
    while (from < span.to()) {
      long to = Math.min(span.to(), (from / tokens + 1) * tokens);
      parts.add(new TokenSpan((int) from, (int) to));
      from = to;
    }
    return parts.isEmpty() ? List.of(span) : parts;
  }

  private static long lcm(long a, long b) {
    long x = a;
    long y = b;
    while (y != 0) {
      long rest = x % y;
      x = y;
      y = rest;
    }
    return a / x * b;
  }
}
