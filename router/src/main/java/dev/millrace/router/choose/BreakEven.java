package dev.millrace.router.choose;

import dev.millrace.router.pools.Worker;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Whether a prompt is worth a hand-off, by what hand-offs and prompts have taken lately.
 *
 * <p>Compared is how long clients will have waited. With {@code b} the bytes of the prompt that a
 * worker does not know yet, and {@code s} the streams of the decode worker:
 *
 * <pre>
 *   alone       =  (1 + s) · D(b)                 the streams stand still while it computes
 *   handed over =  P(ahead + b)  +  H(b)          what is ahead of it at the prefill worker is waited for
 * </pre>
 *
 * {@code P} is the time of prefill legs over the bytes that were under way on their worker, {@code
 * H} that from the prefill worker's answer to the first token, {@code D} that to the first token of
 * prompts that a decode worker has computed alone; each is a {@link LinearFit}, {@code P} and
 * {@code D} per worker. As long as a decode worker has computed too few alone it is thought to be
 * as fast as the prefill workers. What is not known yet is handed over. So is one of {@value
 * #PROBE} that are not worth it, or nobody would notice when they become so.
 *
 * <p>Only streams show their first token, so whole answers teach nothing of {@code H} and {@code
 * D}.
 */
final class BreakEven {
  private static final int PROBE = 64;

  private final Map<Worker, LinearFit> prefill = new ConcurrentHashMap<>();
  private final Map<Worker, LinearFit> alone = new ConcurrentHashMap<>();
  private final LinearFit handOver = new LinearFit();
  private final AtomicInteger alones = new AtomicInteger();

  /** Bytes that a prefill and a decode worker need not compute, where a policy knows. */
  record Known(long prefillBytes, long decodeBytes) {}

  private static LinearFit of(Map<Worker, LinearFit> fits, Worker worker) {
    return fits.computeIfAbsent(worker, first -> new LinearFit());
  }

  /** A prefill leg has answered. */
  void prefilled(Worker worker, long bytesUnderWay, long nanos) {
    of(prefill, worker).add(bytesUnderWay, nanos);
  }

  /** A stream has begun from blocks. */
  void handedOver(long promptBytes, long nanos) {
    handOver.add(promptBytes, nanos);
  }

  /** A stream has begun from a prompt that its worker has computed. */
  void computedAlone(Worker worker, long promptBytes, long nanos) {
    of(alone, worker).add(promptBytes, nanos);
  }

  /**
   * Weighs a prompt, for the least busy of each.
   *
   * @param prefillWorkers at least one
   * @param decodeWorkers at least one
   */
  Weighed weigh(
      long promptBytes, Known known, List<Worker> prefillWorkers, List<Worker> decodeWorkers) {
    Worker p = idlest(prefillWorkers);
    Worker d = idlest(decodeWorkers);
    LinearFit first = of(prefill, p);
    if (!first.isKnown() || !handOver.isKnown()) {
      return Weighed.UNKNOWN;
    }
    LinearFit own = of(alone, d);
    LinearFit computing = own.isKnown() ? own : first;
    long streams = d.load();
    double aloneNanos =
        (1 + streams) * computing.at(Math.max(1, promptBytes - known.decodeBytes()));
    double handedOverNanos =
        first.at(p.load() + Math.max(1, promptBytes - known.prefillBytes()))
            + handOver.at(promptBytes);
    boolean probes = aloneNanos < handedOverNanos && alones.incrementAndGet() % PROBE == 0;
    return new Weighed.Known(aloneNanos, handedOverNanos, streams, probes);
  }

  private static Worker idlest(List<Worker> workers) {
    Worker best = workers.getFirst();
    for (Worker worker : workers) {
      if (worker.load() < best.load()) {
        best = worker;
      }
    }
    return best;
  }
}
