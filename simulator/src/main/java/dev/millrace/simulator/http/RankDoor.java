package dev.millrace.simulator.http;

import io.vertx.core.Handler;
import io.vertx.core.http.HttpServerRequest;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The one port before several data-parallel ranks. A request goes to the rank that it names, or to
 * the next one: an unreadable name counts as none, one out of range is refused (vLLM 0.32.0).
 */
public final class RankDoor implements Handler<HttpServerRequest> {
  private static final String RANK = "X-data-parallel-rank";

  private final List<FrontDoor> ranks;
  private int next;

  /** Before these, rank 0 first. */
  public RankDoor(List<FrontDoor> ranks) {
    this.ranks = List.copyOf(ranks);
  }

  @Override
  public void handle(HttpServerRequest request) {
    int rank = rank(request.getHeader(RANK));
    if (rank < 0 || rank >= ranks.size()) {
      FrontDoor.answer(
          request.response(),
          ErrorBody.badRequest(
              "data_parallel_rank %d is out of range [0, %d).".formatted(rank, ranks.size())));
      return;
    }
    ranks.get(rank).handle(request);
  }

  private int rank(@Nullable String named) {
    if (named != null) {
      try {
        return Integer.parseInt(named);
      } catch (NumberFormatException e) {
        // Counts as none.
      }
    }
    next = (next + 1) % ranks.size();
    return next;
  }
}
