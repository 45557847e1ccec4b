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
import io.vertx.core.Promise;
import io.vertx.core.Vertx;
import io.vertx.core.internal.ContextInternal;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import reactor.core.publisher.Mono;

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
  private final EventLoopScheduler scheduler;
  private final Set<Future<Void>> untried = new HashSet<>();

  /** Those of the event loop from which it is made. */
  Leftovers(
      Vertx vertx,
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
    this.scheduler = new EventLoopScheduler((ContextInternal) vertx.getOrCreateContext());
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
    Promise<Void> tried = Promise.promise();
    untried.add(tried.future());
    Mono<Outcome> attempt =
        Freeing.attempt(() -> agents.release(blocks.pinned()).recover(failure -> byRequest(blocks)))
            .doFinally(how -> {
              untried.remove(tried.future());
              tried.tryComplete();
            });
    Freeing.of(blocks, attempt, scheduler, nanoClock).subscribe(blocks::end);
  }

  /** Completes when everything that is to be freed now is free, or could not be at once. */
  Future<?> settled() {
    return Future.join(List.copyOf(untried));
  }

  /** Roles are not enforced by vLLM (0.32.0): a prefill engine refuses like a decode engine. */
  private Future<Outcome> byRequest(HandOff blocks) {
    Worker holder = blocks.holder();
    return workers
        .get()
        .all()
        .filter(worker -> worker.role() != holder.role() && worker.model().equals(holder.model()))
        .filter(worker -> !worker.refusedSince(blocks.sinceNanos()))
        .findFirst()
        .map(worker ->
            calls
                .post(
                    worker,
                    Api.COMPLETIONS.path(),
                    RefusedRequest.body(Api.COMPLETIONS, worker.model(), blocks.pinned().object()),
                    ANSWER_WITHIN)
                .compose(answer ->
                    RefusedRequest.outcome(answer.status())
                        .map(Future::succeededFuture)
                        .orElseGet(() -> Future.failedFuture("it does not refuse"))))
        .orElseGet(() -> Future.failedFuture("nobody is there to refuse"));
  }
}
