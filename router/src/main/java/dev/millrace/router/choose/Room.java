package dev.millrace.router.choose;

import dev.millrace.router.pools.Worker;
import java.util.List;

/**
 * Whether a worker may be picked for what it remembers or where it is, though others are less busy.
 *
 * <p>{@code room(w) ⇔ load(w) ≤ c · (Σ load + own) / n + worth}, over the {@code n} workers that
 * can be picked. {@code own} is what the exchange adds to the load itself, {@code worth} what the
 * pick saves: so much more than others a worker may have, and idle workers are not found full
 * because their average is nothing. {@code c} is the route's {@code balance-percent}. Loads are
 * those of {@link Worker#load}: bytes of prompts on prefill workers, else exchanges.
 *
 * <p>The worker with the least load always has room. Load after a pick is at most {@code c ·
 * average + worth + own}: consistent hashing with bounded loads, as Envoy has it ({@code
 * hash_balance_factor}), with {@code worth} in the place of its rounding up.
 *
 * @see <a href="https://arxiv.org/abs/1608.01350">Mirrokni, Thorup, Zadimoghaddam: Consistent
 *     Hashing with Bounded Loads</a>
 */
record Room(long mostLoad) {
  /**
   * The room on workers for an exchange.
   *
   * @param own what it adds to the load of one
   */
  static Room among(List<Worker> workers, int balancePercent, long own) {
    long load = own;
    for (Worker worker : workers) {
      load += worker.load();
    }
    return new Room(balancePercent * load / (100L * workers.size()));
  }

  /**
   * Whether a worker has any.
   *
   * @param worth in units of load
   */
  boolean on(Worker worker, long worth) {
    return worker.load() <= mostLoad + worth;
  }
}
