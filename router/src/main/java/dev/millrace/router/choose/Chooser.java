package dev.millrace.router.choose;

import dev.millrace.config.Route;
import dev.millrace.router.edges.Edge;
import dev.millrace.router.edges.EdgeState;
import dev.millrace.router.edges.RouteEdges;
import dev.millrace.router.http.ClientRequest.Course;
import dev.millrace.router.http.Problem;
import dev.millrace.router.pools.Breaker;
import dev.millrace.router.pools.Breaker.Entry;
import dev.millrace.router.pools.Breakers;
import dev.millrace.router.pools.KvRoom;
import dev.millrace.router.pools.Worker;
import dev.millrace.router.pools.Workers;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.function.LongSupplier;
import java.util.function.Predicate;
import java.util.random.RandomGenerator;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Picks the workers of a route's exchanges. Shared by all event loops.
 *
 * <p>The two are picked as a pair: the prefill worker by its policy among those that have a usable
 * edge, then the decode worker by its policy among those at the other ends. Whom the exchange has
 * seen failing is not picked again as long as there is somebody else, and a pair never again once
 * both of it, or its edge, have failed. Nor is a worker that its {@linkplain Breaker breaker} keeps
 * out, as long as there is somebody else for the exchange.
 *
 * <p>A decode worker is picked only if it has {@linkplain KvRoom room} for the exchange, which is
 * taken then: nobody's blocks wait on a prefill worker for a decode worker that is full. Where no
 * prefill worker takes part nothing waits but the request, and engines queue those by themselves.
 */
public final class Chooser {
  private static final String KEPT_THERE = "the response that it is about is kept there";

  private final Route route;
  private final RouteEdges edges;
  private final List<Worker> decodeWorkers;
  private final Breakers[] breakers;
  private final LongSupplier nanoClock;
  private final WorkerPolicy prefillPolicy;
  private final WorkerPolicy decodePolicy;
  private final PreferSame preferSame;
  private final AtomicInteger reservations;
  private final RetryBudget retries;
  private final @Nullable BreakEven breakEven;
  private final PromptSizes promptSizes;

  /**
   * A chooser for a route.
   *
   * @param reservations gauge of all places that are held
   * @param random may be used by several threads
   * @param nanoClock what {@link System#nanoTime} is
   * @param before the route's by an earlier table, if it had the route: what its policies remember
   *     is kept for stages that are as they were, and what was spent on retries
   */
  public Chooser(
      RouteEdges edges,
      Workers workers,
      AtomicInteger reservations,
      RandomGenerator random,
      LongSupplier nanoClock,
      @Nullable Chooser before) {
    this.route = edges.route();
    this.edges = edges;
    this.decodeWorkers = workers.ofPool(route.decode().pool());
    this.breakers =
        Stream.concat(route.prefill().stream(), Stream.of(route.decode()))
            .map(stage -> workers.breakers(stage.pool()))
            .toArray(Breakers[]::new);
    this.nanoClock = nanoClock;
    this.prefillPolicy =
        route
            .prefill()
            .map(stage ->
                before != null && before.route.prefill().equals(route.prefill())
                    ? before.prefillPolicy
                    : WorkerPolicy.of(stage, random))
            .orElseGet(RoundRobin::new);
    this.decodePolicy =
        before != null && before.route.decode().equals(route.decode())
            ? before.decodePolicy
            : WorkerPolicy.of(route.decode(), random);
    this.breakEven = breakEven(route, before);
    this.promptSizes = before == null ? new PromptSizes() : before.promptSizes;
    this.preferSame = new PreferSame(route.decode());
    this.reservations = reservations;
    int percent = route.retries().budgetPercent();
    this.retries = before == null ? new RetryBudget(percent) : before.retries.withPercent(percent);
  }

  private static @Nullable BreakEven breakEven(Route route, @Nullable Chooser before) {
    if (!route.bypass().breakEven()) {
      return null;
    }
    return before != null && before.breakEven != null ? before.breakEven : new BreakEven();
  }

  /** What the operator wrote. */
  public Route route() {
    return route;
  }

  /** What its exchanges may spend on other workers after failures. */
  public RetryBudget retries() {
    return retries;
  }

  /** The pairs among which it chooses. */
  public RouteEdges edges() {
    return edges;
  }

  /** Whether a worker is one of those that decode for the route. */
  public boolean decodesOn(Worker worker) {
    return decodeWorkers.contains(worker);
  }

  /** Picks the workers for a request. */
  public Choice choose(Traits traits, Blame blame) {
    return atKeeper(traits, blame)
        .or(() -> whyAlone(traits).map(why -> decodeOnly(traits, blame, why)))
        .orElseGet(() -> pair(traits, blame));
  }

  /** Why a decode worker computes everything for a request; empty if it gets blocks. */
  public Optional<String> whyAlone(Traits traits) {
    return switch (traits.course()) {
      case Course.Alone(String why) -> Optional.of(why);
      case Course.AtKeeper _ -> Optional.of(KEPT_THERE);
      case Course.Disaggregated(), Course.Primed(_, _) -> {
        if (route.prefill().isEmpty()) {
          yield Optional.of("its route has no prefill stage");
        }
        yield route.bypass().takes(traits.promptBytes())
            ? Optional.of(tooShort(traits))
            : notWorthIt(traits);
      }
    };
  }

  /** The worker that keeps what a request goes on from, if it gets new exchanges. */
  private Optional<Choice> atKeeper(Traits traits, Blame blame) {
    Worker keeper = traits.keeper();
    if (keeper == null || decoding(blame).noneMatch(keeper::equals)) {
      return Optional.empty();
    }
    Entry entry = keeper.breaker().enter(nanoClock.getAsLong());
    return entry == Entry.SHUT
        ? Optional.empty()
        : Optional.of(new Choice.DecodeOnly(place(keeper, traits, entry), KEPT_THERE));
  }

  /** What is primed is several prompts, whose times say little of one. */
  private Optional<String> notWorthIt(Traits traits) {
    if (breakEven == null || !(traits.course() instanceof Course.Disaggregated)) {
      return Optional.empty();
    }
    Weighed weighed = traits.weighed(breakEven, () -> weigh(breakEven, traits));
    return weighed instanceof Weighed.Known known && known.prefersAlone()
        ? Optional.of("it is not worth a hand-off: " + known.words())
        : Optional.empty();
  }

  private Weighed weigh(BreakEven by, Traits traits) {
    List<Worker> prefill = edges.usable().prefill();
    List<Worker> decode = decoding(new Blame()).toList();
    if (prefill.isEmpty() || decode.isEmpty()) {
      return Weighed.UNKNOWN;
    }
    BreakEven.Known known =
        new BreakEven.Known(
            prefillPolicy.knownBytes(prefill, traits), decodePolicy.knownBytes(decode, traits));
    return by.weigh(traits.promptBytes(), known, prefill, decode);
  }

  /** A prefill leg has answered, so long after it was sent. */
  public void prefilled(Worker worker, Traits traits, long nanos) {
    if (breakEven != null) {
      breakEven.prefilled(worker, traits.bytesUnderWay(), nanos);
    }
  }

  /**
   * A stream has begun.
   *
   * @param nanos since its blocks were there, or since its leg was sent if it has read none
   */
  public void begun(Worker worker, Traits traits, boolean fromBlocks, long nanos) {
    if (breakEven == null || !(traits.course() instanceof Course.Disaggregated)) {
      return;
    }
    if (fromBlocks) {
      breakEven.handedOver(traits.promptBytes(), nanos);
    } else {
      breakEven.computedAlone(worker, traits.promptBytes(), nanos);
    }
  }

  private String tooShort(Traits traits) {
    return "its prompt has %d bytes, and its route hands over those from %d bytes on"
        .formatted(traits.promptBytes(), route.bypass().promptBytesBelow());
  }

  private Choice pair(Traits traits, Blame blame) {
    RouteEdges.Usable usable = edges.usable();
    if (usable.prefill().isEmpty()) {
      return nothingFits(traits, blame);
    }
    if (blame.isNobodys() && areAllInUse()) {
      Worker prefill = prefillPolicy.pick(usable.prefill(), traits);
      List<Worker> roomy = withRoom(traits, partners(usable, prefill));
      if (!roomy.isEmpty()) {
        Worker decode = partner(traits, prefill, roomy);
        return reserved(traits, prefill, Entry.FREE, decode, Entry.FREE);
      }
    }
    Predicate<Edge> roomy = edge -> hasRoom(traits, edge.decode());
    Predicate<Edge> both = edge -> !blame.has(edge.prefill()) && !blame.has(edge.decode());
    Predicate<Edge> either = edge -> !blame.has(edge.prefill()) || !blame.has(edge.decode());
    return among(traits, blame, both.and(roomy))
        .or(() -> among(traits, blame, either.and(roomy)))
        .orElseGet(() ->
            left(blame, either.and(edge -> !edge.prefill().isDraining())).isEmpty()
                ? new Choice.Refuse(exhausted())
                : new Choice.Full(kvTokens(traits)));
  }

  /** Tokens of a decode worker's KV cache that it needs: its prompt's, and those of the answer. */
  private long kvTokens(Traits traits) {
    return promptSizes.tokens(traits.promptBytes()) + traits.answerTokens();
  }

  /** A prompt's tokens were counted: how many of a KV cache its exchange needs, as is known now. */
  public long counted(Traits traits, int promptTokens) {
    promptSizes.counted(traits.promptBytes(), promptTokens);
    return promptTokens + traits.answerTokens();
  }

  private boolean hasRoom(Traits traits, Worker decode) {
    return decode.kvRoom().has(kvTokens(traits));
  }

  private List<Worker> withRoom(Traits traits, List<Worker> decode) {
    for (Worker worker : decode) {
      if (!hasRoom(traits, worker)) {
        return decode.stream().filter(each -> hasRoom(traits, each)).toList();
      }
    }
    return decode;
  }

  /** Those with room; all if none has, for engines queue by themselves. */
  private List<Worker> preferablyWithRoom(Traits traits, List<Worker> decode) {
    List<Worker> roomy = withRoom(traits, decode);
    return roomy.isEmpty() ? decode : roomy;
  }

  private Worker partner(Traits traits, Worker prefill, List<Worker> able) {
    return decodePolicy.pick(preferSame.preferred(prefill, able, traits), traits);
  }

  private static List<Worker> partners(RouteEdges.Usable usable, Worker prefill) {
    return usable.decode().getOrDefault(prefill, List.of());
  }

  private boolean areAllInUse() {
    for (Breakers ofPool : breakers) {
      if (!ofPool.areClosed()) {
        return false;
      }
    }
    return true;
  }

  /**
   * A pair whose edge is usable, was not blamed, and passes; of those that are in use if there are
   * any.
   */
  private Optional<Choice> among(Traits traits, Blame blame, Predicate<Edge> passes) {
    List<Edge> left = left(blame, passes.and(edge -> !edge.prefill().isDraining()));
    if (left.isEmpty()) {
      return Optional.empty();
    }
    long now = nanoClock.getAsLong();
    List<Edge> open =
        left.stream().filter(edge -> isOpen(edge.prefill(), edge.decode(), now)).toList();
    while (!open.isEmpty()) {
      Edge edge = pick(traits, open);
      Entry first = edge.prefill().breaker().enter(now);
      Entry second = first == Entry.SHUT ? first : edge.decode().breaker().enter(now);
      if (second != Entry.SHUT) {
        return Optional.of(reserved(traits, edge.prefill(), first, edge.decode(), second));
      }
      // Another exchange has become the trial of one of them meanwhile.
      if (first == Entry.TRIAL) {
        edge.prefill().breaker().trialOver();
      }
      Worker shut = first == Entry.SHUT ? edge.prefill() : edge.decode();
      open =
          open.stream()
              .filter(each -> !each.prefill().equals(shut) && !each.decode().equals(shut))
              .toList();
    }
    Edge edge = pick(traits, left);
    return Optional.of(reserved(traits, edge.prefill(), Entry.FREE, edge.decode(), Entry.FREE));
  }

  private static boolean isOpen(Worker prefill, Worker decode, long nowNanos) {
    return prefill.breaker().isOpenTo(nowNanos) && decode.breaker().isOpenTo(nowNanos);
  }

  private Edge pick(Traits traits, List<Edge> some) {
    Worker prefill =
        prefillPolicy.pick(some.stream().map(Edge::prefill).distinct().toList(), traits);
    List<Worker> partners =
        some.stream().filter(edge -> edge.prefill().equals(prefill)).map(Edge::decode).toList();
    return edges.between(prefill, partner(traits, prefill, partners));
  }

  private List<Edge> left(Blame blame, Predicate<Edge> passes) {
    return edges.edges().stream()
        .filter(edge -> edge.state() instanceof EdgeState.Usable)
        .filter(edge -> !blame.has(edge) && !edge.decode().isDraining() && passes.test(edge))
        .toList();
  }

  private Choice reserved(Traits traits, Worker prefill, Entry first, Worker decode, Entry second) {
    return new Choice.Disaggregate(
        edges.between(prefill, decode),
        place(prefill, traits, first),
        place(decode, traits, second));
  }

  private Choice nothingFits(Traits traits, Blame blame) {
    if (edges.isPending()) {
      return new Choice.NotYet();
    }
    return switch (route.pairing().onMismatch()) {
      case RECOMPUTE -> decodeOnly(traits, blame, "no pair of workers fits");
      case REFUSE -> new Choice.Refuse(mismatch());
    };
  }

  private Choice decodeOnly(Traits traits, Blame blame, String why) {
    return anyDecode(traits, blame)
        .<Choice>map(place -> new Choice.DecodeOnly(place, why))
        .orElseGet(() -> new Choice.Refuse(exhausted()));
  }

  /**
   * A pair with another prefill worker, for a prompt whose prefill has failed. The decode worker
   * stays if blocks can get to it from there.
   */
  public Optional<Choice> anotherPrefill(Traits traits, Blame blame, Worker decode) {
    return among(traits, blame, edge -> !blame.has(edge.prefill()) && edge.decode().equals(decode))
        .or(() -> among(traits, blame, edge -> !blame.has(edge.prefill())));
  }

  /** A place on a prefill worker from which blocks can get to a decode worker that is settled. */
  public Optional<Reservation> anotherPrompt(Traits traits, Worker decode) {
    List<Worker> able =
        left(new Blame(), edge -> edge.decode().equals(decode) && !edge.prefill().isDraining())
            .stream()
            .map(Edge::prefill)
            .toList();
    return able.isEmpty()
        ? Optional.empty()
        : Optional.of(placeOnOne(able, some -> prefillPolicy.pick(some, traits), traits));
  }

  /** A place on another decode worker to which blocks can get from the worker that holds them. */
  public Optional<Reservation> anotherDecode(Traits traits, Blame blame, Worker holder) {
    List<Edge> left =
        left(blame, edge -> edge.prefill().equals(holder) && !blame.has(edge.decode()));
    if (left.isEmpty()) {
      return Optional.empty();
    }
    List<Worker> able = left.stream().map(Edge::decode).toList();
    return Optional.of(
        placeOnOne(
            preferablyWithRoom(traits, able), some -> partner(traits, holder, some), traits));
  }

  /** A place on one of some workers; on one that is in use if there is one. */
  private Reservation placeOnOne(
      List<Worker> some, Function<List<Worker>, Worker> pick, Traits traits) {
    if (areAllInUse()) {
      return place(pick.apply(some), traits, Entry.FREE);
    }
    long now = nanoClock.getAsLong();
    List<Worker> open = some.stream().filter(worker -> worker.breaker().isOpenTo(now)).toList();
    while (!open.isEmpty()) {
      Worker picked = pick.apply(open);
      Entry entry = picked.breaker().enter(now);
      if (entry != Entry.SHUT) {
        return place(picked, traits, entry);
      }
      open = open.stream().filter(worker -> !worker.equals(picked)).toList();
    }
    return place(pick.apply(some), traits, Entry.FREE);
  }

  private Reservation place(Worker worker, Traits traits, Entry entry) {
    return new Reservation(worker, traits.promptBytes(), kvTokens(traits), reservations, entry);
  }

  /** A prompt goes to a prefill worker. */
  public void prefillSent(Worker worker, Traits traits) {
    traits.bytesUnderWay(worker.load());
    prefillPolicy.sent(worker, traits);
  }

  /** A request goes to a decode worker. */
  public void decodeSent(Worker worker, Traits traits) {
    decodePolicy.sent(worker, traits);
  }

  /** A place on a decode worker for a request that needs no blocks. */
  public Optional<Reservation> anyDecode(Traits traits, Blame blame) {
    if (traits.course() instanceof Course.AtKeeper) {
      return onKeeper(traits, blame);
    }
    List<Worker> left = decoding(blame).toList();
    return left.isEmpty()
        ? Optional.empty()
        : Optional.of(
            placeOnOne(
                preferablyWithRoom(traits, left), some -> decodePolicy.pick(some, traits), traits));
  }

  /** A response is asked for where it is kept, also if that worker gets nothing new. */
  private Optional<Reservation> onKeeper(Traits traits, Blame blame) {
    Worker keeper = traits.keeper();
    return keeper == null || blame.has(keeper) || !decodesOn(keeper)
        ? Optional.empty()
        : Optional.of(place(keeper, traits, Entry.FREE));
  }

  /** The decode worker with the least to do, for a message that is no request of a client. */
  public Optional<Worker> idlestDecode(Blame blame) {
    return decoding(blame)
        .min(
            Comparator.comparing((Worker worker) -> !worker.breaker().isClosed())
                .thenComparingLong(Worker::load));
  }

  private Stream<Worker> decoding(Blame blame) {
    return decodeWorkers.stream().filter(worker -> !blame.has(worker) && !worker.isDraining());
  }

  private Problem exhausted() {
    return new Problem(
        Problem.Side.US,
        503,
        "no_worker",
        decodeWorkers.isEmpty()
            ? "No worker for model \"%s\": %s".formatted(route.model(), whoseWorkersLack())
            : "No worker for model \"" + route.model() + "\" is left to try",
        Problem.Retry.SOON);
  }

  private Problem mismatch() {
    String why =
        edges.edges().stream()
            .map(edge -> edge + ": " + reason(edge))
            .findFirst()
            .orElseGet(this::whoseWorkersLack);
    return new Problem(
        Problem.Side.US,
        503,
        "no_fitting_pair",
        "No pair of workers for model \"%s\" can be used (%d looked at; GET /pd/matrix on the admin port has all reasons). %s"
            .formatted(route.model(), edges.edges().size(), why),
        Problem.Retry.SOON);
  }

  private String whoseWorkersLack() {
    return "pool \"%s\" has no worker"
        .formatted(
            decodeWorkers.isEmpty()
                ? route.decode().pool()
                : route.prefill().orElse(route.decode()).pool());
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
