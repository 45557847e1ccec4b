package dev.millrace.router;

import dev.millrace.router.agents.Carried;
import dev.millrace.router.pools.Worker;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;

/**
 * A copy that an agent holds for a decode engine whose leg brought no answer.
 *
 * <p>As long as that engine may live and have the request it may be reading, and what it reads may
 * get into its prefix cache: the copy stays, to the end that the engine says or to its expiry.
 * Where no leg was sent, where the engine has answered that the request failed, and where it
 * accepts no connection any more or is another one, nobody is left who could read, and the agent is
 * told to let go; if need be, once it answers again.
 */
final class AbandonedCopy {
  private static final Duration LOOK = Duration.ofMillis(100);

  /** Whoever has died is seen to be gone within that many looks, or has been started again. */
  private static final int LOOKS_AT_READER = 50;

  /** About as long as agents keep a copy by default. */
  private static final int LOOKS_AT_AGENT = 600;

  private AbandonedCopy() {}

  /**
   * Has it dropped as soon as it is known that nobody reads it.
   *
   * @param sent how far its reader's leg has got
   * @param fault of that leg; null if it was given up
   */
  static void of(Lane lane, Carried.Copy copy, DecodeLeg.Sent sent, @Nullable Fault fault) {
    if (sent == DecodeLeg.Sent.NOTHING || fault instanceof Fault.Answered) {
      drop(lane, copy);
    } else if (fault instanceof Fault.Broken(Worker reader, _, _)) {
      dropOnceGone(lane, copy, reader);
    }
  }

  private static void dropOnceGone(Lane lane, Carried.Copy copy, Worker reader) {
    long brokenAt = lane.now();
    lane.house.watch().suspect(reader);
    Mono.delay(LOOK, lane.scheduler)
        .filter(look -> isGone(lane, copy, reader, brokenAt))
        .repeat(LOOKS_AT_READER)
        .next()
        .subscribe(look -> drop(lane, copy));
  }

  private static boolean isGone(Lane lane, Carried.Copy copy, Worker reader, long brokenAt) {
    return reader.refusedSince(brokenAt)
        || !lane.house.watch().isStill(reader, copy.reader().engineId());
  }

  private static void drop(Lane lane, Carried.Copy copy) {
    Mono<Boolean> dropped =
        Mono.create(sink ->
            lane.house
                .agents
                .drop(copy)
                .onSuccess(done -> sink.success(true))
                .onFailure(failure -> sink.success()));
    Mono<Boolean> droppedOnceItAnswers =
        Mono.delay(LOOK, lane.scheduler)
            .filter(look -> copy.agent().answers())
            .flatMap(look -> dropped)
            .repeat(LOOKS_AT_AGENT)
            .next();
    dropped.switchIfEmpty(droppedOnceItAnswers).subscribe();
  }
}
