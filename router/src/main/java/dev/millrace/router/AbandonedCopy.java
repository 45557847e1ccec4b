package dev.millrace.router;

import dev.millrace.router.agents.Carried;
import dev.millrace.router.pools.Worker;
import java.time.Duration;
import reactor.core.publisher.Mono;

/**
 * A copy that an agent holds for a decode engine whose leg has broken.
 *
 * <p>As long as that engine may live it may be reading, and what it reads may get into its prefix
 * cache: the copy stays, to the end that the engine says or to its expiry. Once the engine accepts
 * no connection, or is another one, nobody is left who could read, and the agent is told to let go.
 */
final class AbandonedCopy {
  private static final Duration LOOK = Duration.ofMillis(100);

  /** Whoever has died is seen to be gone within that many looks, or has been started again. */
  private static final int LOOKS = 50;

  private AbandonedCopy() {}

  /** Has it dropped as soon as its reader turns out to be gone. */
  static void watch(Lane lane, Carried.Copy copy, Worker reader) {
    long brokenAt = lane.now();
    lane.house.watch.suspect(reader);
    Mono.delay(LOOK, lane.scheduler)
        .filter(look -> isGone(lane, copy, reader, brokenAt))
        .repeat(LOOKS)
        .next()
        .subscribe(look -> lane.house.agents.drop(copy));
  }

  private static boolean isGone(Lane lane, Carried.Copy copy, Worker reader, long brokenAt) {
    return reader.refusedSince(brokenAt)
        || !lane.house.watch.isStill(reader, copy.reader().engineId());
  }
}
