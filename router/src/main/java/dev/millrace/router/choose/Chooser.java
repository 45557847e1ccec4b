package dev.millrace.router.choose;

import dev.millrace.config.Route;
import dev.millrace.router.http.ClientRequest.Stages;
import dev.millrace.router.http.Problem;
import dev.millrace.router.pools.Worker;
import dev.millrace.router.pools.Workers;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Picks the workers of a route's exchanges. Shared by all event loops.
 *
 * <p>A worker that has failed an exchange is not asked again by it as long as there is another.
 */
public final class Chooser {
  private final Route route;
  private final List<Worker> prefillWorkers;
  private final List<Worker> decodeWorkers;
  private final WorkerPolicy prefillPolicy;
  private final WorkerPolicy decodePolicy;
  private final AtomicInteger reservations;

  /**
   * A chooser for a route.
   *
   * @param reservations gauge of all places that are held
   */
  public Chooser(Route route, Workers workers, AtomicInteger reservations) {
    this.route = route;
    this.prefillWorkers = workers.ofPool(route.prefill().pool());
    this.decodeWorkers = workers.ofPool(route.decode().pool());
    this.prefillPolicy = WorkerPolicy.of(route.prefill().policy());
    this.decodePolicy = WorkerPolicy.of(route.decode().policy());
    this.reservations = reservations;
  }

  /** What the operator wrote. */
  public Route route() {
    return route;
  }

  /** Picks the workers for a request, of which at least one has not failed yet. */
  public Choice choose(Stages stages, Set<Worker> failed) {
    return switch (stages) {
      case BOTH -> pair(failed);
      case DECODE_ONLY ->
          anotherDecode(failed)
              .<Choice>map(Choice.DecodeOnly::new)
              .orElseGet(() -> new Choice.Refuse(exhausted()));
    };
  }

  private Choice pair(Set<Worker> failed) {
    List<Worker> prefill = without(failed, prefillWorkers);
    List<Worker> decode = without(failed, decodeWorkers);
    if (prefill.isEmpty() && decode.isEmpty()) {
      return new Choice.Refuse(exhausted());
    }
    return new Choice.Disaggregate(
        reserve(prefillPolicy, prefill.isEmpty() ? prefillWorkers : prefill),
        reserve(decodePolicy, decode.isEmpty() ? decodeWorkers : decode));
  }

  /** A prefill worker that has not failed yet. */
  public Optional<Reservation> anotherPrefill(Set<Worker> failed) {
    return another(prefillPolicy, without(failed, prefillWorkers));
  }

  /** A decode worker that has not failed yet. */
  public Optional<Reservation> anotherDecode(Set<Worker> failed) {
    return another(decodePolicy, without(failed, decodeWorkers));
  }

  private Optional<Reservation> another(WorkerPolicy policy, List<Worker> workers) {
    return workers.isEmpty() ? Optional.empty() : Optional.of(reserve(policy, workers));
  }

  private Reservation reserve(WorkerPolicy policy, List<Worker> workers) {
    return new Reservation(policy.pick(workers), reservations);
  }

  private static List<Worker> without(Set<Worker> failed, List<Worker> workers) {
    return failed.isEmpty()
        ? workers
        : workers.stream().filter(worker -> !failed.contains(worker)).toList();
  }

  private Problem exhausted() {
    return new Problem(
        Problem.Side.US,
        503,
        "no_worker",
        "No worker for model \"" + route.model() + "\" is left to try",
        Problem.Retry.SOON);
  }
}
