package dev.millrace.router.choose;

import dev.millrace.config.Policy;
import dev.millrace.config.Route;
import dev.millrace.config.Stage;
import dev.millrace.router.edges.Edge;
import dev.millrace.router.edges.EdgeState;
import dev.millrace.router.edges.RouteEdges;
import dev.millrace.router.http.ClientRequest.Course;
import dev.millrace.router.http.Problem;
import dev.millrace.router.pools.Worker;
import dev.millrace.router.pools.Workers;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Predicate;
import java.util.random.RandomGenerator;

/**
 * Picks the workers of a route's exchanges. Shared by all event loops.
 *
 * <p>The two are picked as a pair: the prefill worker by its policy among those that have a usable
 * edge, then the decode worker by its policy among those at the other ends. Whom the exchange has
 * seen failing is not picked again as long as there is somebody else, and a pair never again once
 * both of it, or its edge, have failed.
 */
public final class Chooser {
  private final Route route;
  private final RouteEdges edges;
  private final List<Worker> decodeWorkers;
  private final WorkerPolicy prefillPolicy;
  private final WorkerPolicy decodePolicy;
  private final AtomicInteger reservations;

  /**
   * A chooser for a route.
   *
   * @param reservations gauge of all places that are held
   * @param random may be used by several threads
   */
  public Chooser(
      RouteEdges edges, Workers workers, AtomicInteger reservations, RandomGenerator random) {
    this.route = edges.route();
    this.edges = edges;
    this.decodeWorkers = workers.ofPool(route.decode().pool());
    this.prefillPolicy =
        WorkerPolicy.of(route.prefill().map(Stage::policy).orElse(Policy.ROUND_ROBIN), random);
    this.decodePolicy = WorkerPolicy.of(route.decode().policy(), random);
    this.reservations = reservations;
  }

  /** What the operator wrote. */
  public Route route() {
    return route;
  }

  /** The pairs among which it chooses. */
  public RouteEdges edges() {
    return edges;
  }

  /** Picks the workers for a request. */
  public Choice choose(Course course, Blame blame) {
    return switch (course) {
      case Course.Alone(String why) -> decodeOnly(blame, why);
      case Course.Disaggregated(), Course.Primed(_, _) ->
          route.prefill().isPresent()
              ? pair(blame)
              : decodeOnly(blame, "its route has no prefill stage");
    };
  }

  private Choice pair(Blame blame) {
    RouteEdges.Usable usable = edges.usable();
    if (usable.prefill().isEmpty()) {
      return nothingFits(blame);
    }
    if (blame.isNobodys()) {
      Worker prefill = prefillPolicy.pick(usable.prefill());
      return reserved(prefill, decodePolicy.pick(partners(usable, prefill)));
    }
    return among(blame, edge -> !blame.has(edge.prefill()) && !blame.has(edge.decode()))
        .or(() -> among(blame, edge -> !blame.has(edge.prefill()) || !blame.has(edge.decode())))
        .orElseGet(() -> new Choice.Refuse(exhausted()));
  }

  private static List<Worker> partners(RouteEdges.Usable usable, Worker prefill) {
    return usable.decode().getOrDefault(prefill, List.of());
  }

  /** A pair whose edge is usable, was not blamed, and passes. */
  private Optional<Choice> among(Blame blame, Predicate<Edge> passes) {
    List<Edge> left = left(blame, passes.and(edge -> !edge.prefill().isDraining()));
    if (left.isEmpty()) {
      return Optional.empty();
    }
    Worker prefill = prefillPolicy.pick(left.stream().map(Edge::prefill).distinct().toList());
    List<Worker> partners =
        left.stream().filter(edge -> edge.prefill().equals(prefill)).map(Edge::decode).toList();
    return Optional.of(reserved(prefill, decodePolicy.pick(partners)));
  }

  private List<Edge> left(Blame blame, Predicate<Edge> passes) {
    return edges.edges().stream()
        .filter(edge -> edge.state() instanceof EdgeState.Usable)
        .filter(edge -> !blame.has(edge) && !edge.decode().isDraining() && passes.test(edge))
        .toList();
  }

  private Choice reserved(Worker prefill, Worker decode) {
    return new Choice.Disaggregate(edges.between(prefill, decode), place(prefill), place(decode));
  }

  private Choice nothingFits(Blame blame) {
    if (edges.isPending()) {
      return new Choice.NotYet();
    }
    return switch (route.pairing().onMismatch()) {
      case RECOMPUTE -> decodeOnly(blame, "no pair of workers fits");
      case REFUSE -> new Choice.Refuse(mismatch());
    };
  }

  private Choice decodeOnly(Blame blame, String why) {
    return anyDecode(blame)
        .<Choice>map(worker -> new Choice.DecodeOnly(place(worker), why))
        .orElseGet(() -> new Choice.Refuse(exhausted()));
  }

  /**
   * A pair with another prefill worker, for a prompt whose prefill has failed. The decode worker
   * stays if blocks can get to it from there.
   */
  public Optional<Choice> anotherPrefill(Blame blame, Worker decode) {
    return among(blame, edge -> !blame.has(edge.prefill()) && edge.decode().equals(decode))
        .or(() -> among(blame, edge -> !blame.has(edge.prefill())));
  }

  /** An edge from a prefill worker by its policy to a decode worker that is settled. */
  public Optional<Edge> anotherPrompt(Worker decode) {
    List<Worker> able =
        left(new Blame(), edge -> edge.decode().equals(decode) && !edge.prefill().isDraining())
            .stream()
            .map(Edge::prefill)
            .toList();
    return able.isEmpty()
        ? Optional.empty()
        : Optional.of(edges.between(prefillPolicy.pick(able), decode));
  }

  /** An edge from a worker that holds blocks to another decode worker. */
  public Optional<Edge> anotherDecode(Blame blame, Worker holder) {
    List<Edge> left =
        left(blame, edge -> edge.prefill().equals(holder) && !blame.has(edge.decode()));
    if (left.isEmpty()) {
      return Optional.empty();
    }
    Worker decode = decodePolicy.pick(left.stream().map(Edge::decode).toList());
    return Optional.of(edges.between(holder, decode));
  }

  /** A place on a worker. */
  public Reservation place(Worker worker) {
    return new Reservation(worker, reservations);
  }

  /** A decode worker for something that needs no blocks. */
  public Optional<Worker> anyDecode(Blame blame) {
    List<Worker> left =
        decodeWorkers.stream()
            .filter(worker -> !blame.has(worker) && !worker.isDraining())
            .toList();
    return left.isEmpty() ? Optional.empty() : Optional.of(decodePolicy.pick(left));
  }

  private Problem exhausted() {
    return new Problem(
        Problem.Side.US,
        503,
        "no_worker",
        "No worker for model \"" + route.model() + "\" is left to try",
        Problem.Retry.SOON);
  }

  private Problem mismatch() {
    String why =
        edges.edges().stream()
            .map(edge -> edge + ": " + reason(edge))
            .findFirst()
            .orElse("there are none");
    return new Problem(
        Problem.Side.US,
        503,
        "no_fitting_pair",
        "No pair of workers for model \"%s\" can be used (%d looked at; GET /pd/matrix on the admin port has all reasons). %s"
            .formatted(route.model(), edges.edges().size(), why),
        Problem.Retry.SOON);
  }

  private static String reason(Edge edge) {
    if (edge.prefill().isDraining() || edge.decode().isDraining()) {
      return "one of its workers is being drained";
    }
    return switch (edge.state()) {
      case EdgeState.Pending(String why) -> why;
      case EdgeState.Usable(_, _) -> "it is usable again";
      case EdgeState.Refused refused -> refused.first();
      case EdgeState.Broken(_, String why, _) -> why;
    };
  }
}
