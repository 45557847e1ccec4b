package dev.millrace.router;

import dev.millrace.router.agents.Agents;
import dev.millrace.router.handoff.HandOff;
import dev.millrace.router.handoff.Ledger;
import dev.millrace.router.handoff.Outcome;
import dev.millrace.router.handoff.Pinned;
import dev.millrace.router.handoff.RefusedRequest;
import dev.millrace.router.http.Api;
import dev.millrace.router.pools.Worker;
import dev.millrace.router.pools.Workers;
import dev.millrace.router.probe.EngineCalls;
import io.vertx.core.Future;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * The blocks that engines hold after prompts of the router's own, on the books like any other.
 * Belongs to one event loop.
 */
final class Leftovers {
  private static final Duration ANSWER_WITHIN = Duration.ofSeconds(5);

  private final Supplier<Workers> workers;
  private final Ledger ledger;
  private final Agents agents;
  private final EngineCalls calls;
  private final LongSupplier nanoClock;
  private final Set<Future<Outcome>> open = new HashSet<>();

  Leftovers(
      Supplier<Workers> workers,
      Ledger ledger,
      Agents agents,
      EngineCalls calls,
      LongSupplier nanoClock) {
    this.workers = workers;
    this.ledger = ledger;
    this.agents = agents;
    this.calls = calls;
    this.nanoClock = nanoClock;
  }

  /** Enters blocks that a worker holds. */
  HandOff enter(Worker holder, Pinned pinned) {
    return ledger.enter(holder, pinned, nanoClock.getAsLong());
  }

  /** Enters blocks that a worker holds, and frees them. */
  void free(Worker holder, Pinned pinned) {
    free(enter(holder, pinned));
  }

  /** Frees blocks: by an agent, else by a request that an engine of the other stage refuses. */
  void free(HandOff blocks) {
    Future<Outcome> freed =
        agents
            .release(blocks.pinned())
            .<Outcome>map(done -> new Outcome.Released(Outcome.By.AGENT))
            .recover(failure -> byRequest(blocks));
    Future<Outcome> outcome = freed.otherwise(failure -> new Outcome.Expired());
    open.add(outcome);
    outcome.onSuccess(how -> {
      open.remove(outcome);
      blocks.end(how);
    });
  }

  /** Completes when everything that is being freed now is free, or cannot be. */
  Future<?> settled() {
    return Future.join(List.copyOf(open));
  }

  /** Roles are not enforced by vLLM (0.32.0): a prefill engine refuses like a decode engine. */
  private Future<Outcome> byRequest(HandOff blocks) {
    Worker holder = blocks.holder();
    return workers
        .get()
        .all()
        .filter(worker -> worker.role() != holder.role() && worker.model().equals(holder.model()))
        .findFirst()
        .map(worker ->
            calls
                .post(
                    worker,
                    Api.COMPLETIONS.path(),
                    RefusedRequest.body(Api.COMPLETIONS, worker.model(), blocks.pinned().object()),
                    ANSWER_WITHIN)
                .map(answer -> outcome(answer.status())))
        .orElseGet(() -> Future.succeededFuture(new Outcome.Expired()));
  }

  private static Outcome outcome(int status) {
    return RefusedRequest.freesBlocks(status)
        ? new Outcome.Released(Outcome.By.REFUSED_REQUEST)
        : new Outcome.Expired();
  }
}
