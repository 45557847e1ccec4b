package dev.millrace.router.choose;

import dev.millrace.config.SessionKey;
import dev.millrace.router.pools.Worker;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The worker that a session's earlier requests went to, by rendezvous hashing.
 *
 * <p>{@code pick = argmax of H(H(key), H(url(w))) over w with room(w)}, with the {@link Room} of an
 * exchange whose worth is its own load: who has too much gives way to the next in the session's own
 * order. Without a key the pick is {@link LeastActive}'s.
 *
 * <p>Nothing is remembered, so that replicas agree and a restart changes nothing. When a worker
 * goes, drains or was blamed, its own sessions move, each to the next in its order, and no others;
 * when it comes back, they do too.
 */
final class SessionAffinity implements WorkerPolicy {
  private final SessionKey from;
  private final int balancePercent;
  private final WorkerPolicy withoutKey = new LeastActive();
  private final Map<Worker, Long> identities = new ConcurrentHashMap<>();

  SessionAffinity(SessionKey from, int balancePercent) {
    this.from = from;
    this.balancePercent = balancePercent;
  }

  @Override
  public Worker pick(List<Worker> workers, Traits traits) {
    OptionalLong session = traits.session(from);
    return session.isPresent()
        ? highest(session.getAsLong(), workers, traits)
        : withoutKey.pick(workers, traits);
  }

  private Worker highest(long session, List<Worker> workers, Traits traits) {
    Worker best = workers.getFirst();
    long own = best.loadOf(traits.promptBytes());
    Room room = Room.among(workers, balancePercent, own);
    long highest = 0;
    boolean found = false;
    for (Worker worker : workers) {
      long weight = Fingerprint.of(session, identity(worker));
      if ((!found || Long.compareUnsigned(weight, highest) > 0) && room.on(worker, own)) {
        best = worker;
        highest = weight;
        found = true;
      }
    }
    return best;
  }

  private long identity(Worker worker) {
    return identities.computeIfAbsent(worker, first -> Fingerprint.of(first.url()));
  }
}
