package dev.millrace.router.choose;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import dev.millrace.router.pools.Worker;
import java.time.Duration;
import java.util.Optional;
import java.util.function.LongSupplier;

/**
 * Which worker keeps a response, for who asks for it again by its id or goes on from it: an engine
 * knows those alone that it has made itself. Shared by all event loops; outlives a routing table.
 *
 * <p>What is known is bounded: at most {@value #MOST_RESPONSES} ids, about 20 MiB, each for an hour
 * after it was given or asked for last. It holds ids, never texts. An engine that was restarted has
 * forgotten all of its own, and says so itself.
 */
public final class Keepers {
  static final int MOST_RESPONSES = 1 << 16;

  /** Who goes on from a response does so within a conversation. */
  static final Duration REMEMBERED = Duration.ofHours(1);

  private final Cache<String, Keeper> byResponse;

  /**
   * A worker that keeps a response.
   *
   * @param worker that has made it
   * @param route on which it was asked for
   * @param model that was asked for, by the client's name
   * @param caller whose it is, by name
   */
  public record Keeper(Worker worker, String route, String model, String caller) {}

  /**
   * Nothing is known yet.
   *
   * @param nanoClock what {@link System#nanoTime} is
   */
  public Keepers(LongSupplier nanoClock) {
    // What has to go is thrown out by the event loop that puts something in.
    this.byResponse =
        Caffeine.newBuilder()
            .maximumSize(MOST_RESPONSES)
            .expireAfterAccess(REMEMBERED)
            .ticker(nanoClock::getAsLong)
            .executor(Runnable::run)
            .build();
  }

  /** A worker begins to keep a response. */
  public void keeps(String response, Keeper keeper) {
    // Clients may choose ids themselves (vLLM 0.32.0, ResponsesRequest.request_id), but nobody gets
    // at a response of somebody else by that.
    byResponse
        .asMap()
        .merge(
            response, keeper, (before, now) -> before.caller().equals(now.caller()) ? now : before);
  }

  /** Who keeps a response, if that is known. */
  public Optional<Keeper> of(String response) {
    return Optional.ofNullable(byResponse.getIfPresent(response));
  }
}
