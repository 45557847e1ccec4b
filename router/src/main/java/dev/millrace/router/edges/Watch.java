package dev.millrace.router.edges;

import dev.millrace.config.CanaryRule;
import dev.millrace.config.Pairing;
import dev.millrace.config.Route;
import dev.millrace.config.Stage;
import dev.millrace.config.Verify;
import dev.millrace.layout.compatibility.Judgement;
import dev.millrace.layout.compatibility.Way;
import dev.millrace.router.edges.Judge.Ruling;
import dev.millrace.router.edges.Judge.Seen;
import dev.millrace.router.http.ClientRequest.AtStop;
import dev.millrace.router.http.ClientRequest.TokenReuse;
import dev.millrace.router.pools.Worker;
import dev.millrace.router.pools.Workers;
import dev.millrace.router.probe.Prober;
import dev.millrace.router.probe.Sighting;
import io.vertx.core.Context;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.Vertx;
import java.net.ConnectException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.LongSupplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Asks workers what they are, judges their edges and tries them out; again whenever a worker may be
 * another one than it was. It works on one event loop; the others tell it what they notice.
 */
public final class Watch {
  private static final Logger LOG = LoggerFactory.getLogger(Watch.class);

  /** How often each worker is asked whether it is still the same. */
  private static final Duration PULSE = Duration.ofSeconds(2);

  /** Between two attempts to ask a worker that does not answer. */
  private static final Duration ASK_AGAIN = Duration.ofSeconds(1);

  /** Between two attempts to learn what a worker did not say the first time. */
  private static final Duration FILL_GAPS = Duration.ofSeconds(10);

  /** Before an edge that broke is tried again; doubled each time, up to the longest. */
  private static final Duration FIRST_REPAIR = Duration.ofSeconds(1);

  private static final int MOST_REPAIR_DOUBLINGS = 5;

  /** How long a pair is not used that broke although its operator vouches for it. */
  private static final Duration TRUST_AGAIN = Duration.ofSeconds(5);

  private static final EdgeState.Usable TRUSTED =
      new EdgeState.Usable(Way.ENGINE, List.of("trusted"));

  private static final int UNKNOWN = -1;

  private static final Pattern VERSION = Pattern.compile("(\\d{1,4})\\.(\\d{1,4})");

  private final Vertx vertx;
  private final Context context;
  private final Prober prober;
  private final Judge judge;
  private final Canary canary;
  private final LongSupplier nanoClock;
  private final Map<Worker, Watched> watched = new LinkedHashMap<>();

  /** What the watch before this one had learnt of workers that only exchanges under way know. */
  private final Map<Worker, Watched> retired = new HashMap<>();

  private final Map<Edge, Integer> repairs = new HashMap<>();
  private final Set<Edge> flying = new HashSet<>();
  private final Map<Edge, RouteEdges> routes = new LinkedHashMap<>();
  private final List<RouteEdges> all = new ArrayList<>();
  private final Map<Paired, Grid> grids = new HashMap<>();
  private final Promise<Void> settled = Promise.promise();
  private final AtomicInteger learnt = new AtomicInteger();
  private boolean ended;

  /** Pools, and the rules by which their workers are paired; no prefill pool is none. */
  private record Paired(String prefill, String decode, Pairing rules) {}

  /** A worker that is asked. */
  private static final class Watched {
    final Worker worker;
    final List<Edge> edges = new ArrayList<>();
    volatile Optional<Sighting> sighting = Optional.empty();
    volatile int release = UNKNOWN;
    volatile String trouble = "it has not been asked yet";
    long askedNanos;
    boolean asking;
    boolean askAgain;

    Watched(Worker worker) {
      this.worker = worker;
    }

    /** Every request asks for the release, so it is read here, once. */
    void learnt(Optional<Sighting> now) {
      sighting = now;
      release = now.flatMap(Sighting::version).map(Watch::release).orElse(UNKNOWN);
      worker.kvRoom().sized(now.flatMap(Sighting::cacheTokens).orElse(0L));
    }
  }

  /** A watch that works on the event loop from which it is made. */
  public Watch(Vertx vertx, Prober prober, Judge judge, Canary canary, LongSupplier nanoClock) {
    this.vertx = vertx;
    this.context = vertx.getOrCreateContext();
    this.prober = prober;
    this.judge = judge;
    this.canary = canary;
    this.nanoClock = nanoClock;
  }

  /**
   * The edges of a route, watched or trusted as it says; the same as those of another route that
   * pairs the same pools by the same rules. Before {@link #begin}.
   */
  public RouteEdges edges(Route route, Workers workers) {
    Paired paired =
        new Paired(
            route.prefill().map(Stage::pool).orElse(""), route.decode().pool(), route.pairing());
    Grid known = grids.get(paired);
    Grid grid = known == null ? grid(route, workers) : known;
    RouteEdges edges = new RouteEdges(route, grid);
    all.add(edges);
    if (known == null) {
      grids.put(paired, grid);
      if (route.pairing().verify() == Verify.PROBE) {
        watch(edges, workers);
      }
    }
    return edges;
  }

  private Grid grid(Route route, Workers workers) {
    List<Worker> prefill = workers.prefilling(route);
    List<Worker> decode = workers.ofPool(route.decode().pool());
    return switch (route.pairing().verify()) {
      case TRUST -> new Grid(prefill, decode, TRUSTED, (edge, before) -> trustAgain(edge));
      case PROBE ->
          new Grid(
              prefill,
              decode,
              new EdgeState.Pending("its workers have not been asked yet"),
              this::changed);
    };
  }

  private void watch(RouteEdges edges, Workers workers) {
    if (edges.route().prefill().isEmpty()) {
      workers.ofPool(edges.route().decode().pool()).forEach(this::of);
    }
    for (Edge edge : edges.edges()) {
      routes.put(edge, edges);
      of(edge.prefill()).edges.add(edge);
      of(edge.decode()).edges.add(edge);
    }
  }

  /** Nobody is asked, and no canary flies: exchanges try it out. */
  private void trustAgain(Edge edge) {
    if (edge.state() instanceof EdgeState.Broken(_, String why, _)) {
      LOG.warn("{} is not used for {} s: {}", edge, TRUST_AGAIN.toSeconds(), why);
      context.runOnContext(
          v -> vertx.setTimer(TRUST_AGAIN.toMillis(), timer -> edge.become(TRUSTED)));
    }
  }

  private Watched of(Worker worker) {
    return watched.computeIfAbsent(worker, Watched::new);
  }

  /**
   * Takes over what another watch has learnt of the workers that are in both, and how it has judged
   * pairs of them by the same rules. Before {@link #begin}; the other one goes on.
   */
  public void inherit(Watch before) {
    watched.forEach((worker, one) ->
        before
            .sighting(worker)
            .ifPresent(seen -> {
              one.learnt(Optional.of(seen));
              one.trouble = "";
              one.askedNanos = before.askedNanos(worker);
            }));
    before.watched.forEach((worker, one) -> {
      if (!watched.containsKey(worker)) {
        // Not that one itself: its edges know the watch before, and so all before that.
        Watched kept = new Watched(worker);
        kept.learnt(one.sighting);
        retired.put(worker, kept);
      }
    });
    Map<Pair, Edge> judged = new HashMap<>();
    before.routes.forEach((edge, theirs) ->
        judged.put(new Pair(edge.prefill(), edge.decode(), theirs.route().pairing()), edge));
    routes.forEach((edge, ours) -> {
      Edge known = judged.get(new Pair(edge.prefill(), edge.decode(), ours.route().pairing()));
      if (known != null && !(known.state() instanceof EdgeState.Pending)) {
        edge.become(known.state());
      }
    });
  }

  private record Pair(Worker prefill, Worker decode, Pairing rules) {}

  /** Begins. */
  public void begin() {
    List<Watched> unknown = watched.values().stream().filter(Watch::isUnknown).toList();
    unknown.forEach(this::ask);
    if (unknown.isEmpty()) {
      settled.complete();
    }
    if (!watched.isEmpty()) {
      vertx.setPeriodic(
          PULSE.toMillis(),
          timer -> {
            if (ended) {
              vertx.cancelTimer(timer);
            } else {
              watched.values().forEach(this::pulse);
            }
          });
    }
  }

  /** Asks nobody any more; what was learnt last stays. On its event loop. */
  public void end() {
    ended = true;
  }

  private static boolean isUnknown(Watched one) {
    return one.sighting.isEmpty()
        || one.edges.stream().anyMatch(edge -> edge.state() instanceof EdgeState.Pending);
  }

  /** Completes when every edge has been judged, and tried out where it must be. */
  public Future<Void> settled() {
    return settled.future();
  }

  /** The edges of all routes, in the table's order. */
  public List<RouteEdges> routes() {
    return List.copyOf(all);
  }

  /** How many pairs of workers can be used, a line per route. */
  public List<String> pairs() {
    return all.stream().map(Watch::pairs).toList();
  }

  private static String pairs(RouteEdges edges) {
    List<Edge> pairs = edges.edges();
    return "route %s: %d of %d pairs usable"
        .formatted(
            edges.route().name(), pairs.stream().filter(Edge::isUsable).count(), pairs.size());
  }

  /** How often something was learnt of a worker, or that it does not answer; for those who keep. */
  public int learnt() {
    return learnt.get();
  }

  /** All workers that are asked. */
  public List<Worker> workers() {
    return List.copyOf(watched.keySet());
  }

  /** When a worker was asked last. */
  public long askedNanos(Worker worker) {
    Watched one = watched.get(worker);
    return one == null ? 0 : one.askedNanos;
  }

  /** What was last learnt of a worker. */
  public Optional<Sighting> sighting(Worker worker) {
    Watched one = known(worker);
    return one == null ? Optional.empty() : one.sighting;
  }

  /**
   * What a worker does when a prompt's first token ends the answer (vLLM PR 32553, which came with
   * 0.21). One that has not said what it runs is taken for a newer one.
   */
  public AtStop atStop(Worker worker) {
    int release = releaseOf(worker);
    return release != UNKNOWN && release < 21 ? AtStop.KEEPS_NOTHING : AtStop.HANDS_OVER;
  }

  /**
   * Of which prompts a worker takes tokens (vLLM PR 48145; seen in 0.32.0). One that has not said
   * what it runs is taken for an older one, which would compute the prompt all the same.
   */
  public TokenReuse tokenReuse(Worker worker) {
    return releaseOf(worker) >= 32 ? TokenReuse.CHATS_TOO : TokenReuse.TEXTS;
  }

  private int releaseOf(Worker worker) {
    Watched one = known(worker);
    return one == null ? UNKNOWN : one.release;
  }

  /** The second number of a version, where the first one is 0; the largest there is after 0. */
  private static int release(String version) {
    Matcher numbers = VERSION.matcher(version);
    if (!numbers.lookingAt()) {
      return UNKNOWN;
    }
    return numbers.group(1).equals("0") ? Integer.parseInt(numbers.group(2)) : Integer.MAX_VALUE;
  }

  private @Nullable Watched known(Worker worker) {
    Watched one = watched.get(worker);
    return one == null ? retired.get(worker) : one;
  }

  /** Whether a worker keeps prompts' blocks for later prompts, as far as is known. */
  public boolean keepsPrefixes(Worker worker) {
    return sighting(worker)
        .flatMap(Sighting::cache)
        .flatMap(Sighting.CacheConfig::prefixCaching)
        .orElse(true);
  }

  /**
   * Another worker that a worker's side channel lets in as it lets in its own kind: one of the same
   * hash, ranks and blocks.
   */
  public Optional<Worker> twin(Worker worker) {
    return sighting(worker)
        .flatMap(one ->
            watched.keySet().stream()
                .filter(other -> !other.equals(worker) && !other.isDraining())
                .filter(other -> sighting(other).filter(one::isOfTheSameKind).isPresent())
                .findFirst());
  }

  /** Why nothing was; empty if something was. */
  public String trouble(Worker worker) {
    Watched one = watched.get(worker);
    return one == null ? "" : one.trouble;
  }

  // ---- what event loops notice ----

  /**
   * Whether a worker still is the engine that its edges were judged by. If not, it is asked anew.
   *
   * @param engineId under which it answered just now
   */
  public boolean isStill(Worker worker, String engineId) {
    Watched one = watched.get(worker);
    if (one == null || one.sighting.isEmpty()) {
      return true;
    }
    boolean same = one.sighting.get().engineIds().contains(engineId);
    if (!same) {
      one.edges.forEach(edge -> edge.become(new EdgeState.Pending(worker + " was restarted")));
      suspect(worker);
    }
    return same;
  }

  /** A worker may be gone, or another one by now. */
  public void suspect(Worker worker) {
    Watched one = watched.get(worker);
    if (one != null) {
      context.runOnContext(v -> ask(one));
    }
  }

  // ---- asking ----

  private void pulse(Watched one) {
    if (one.asking || one.sighting.isEmpty()) {
      return;
    }
    Sighting known = one.sighting.get();
    if (!known.gaps().isEmpty() && nanoClock.getAsLong() - one.askedNanos > FILL_GAPS.toNanos()) {
      ask(one);
      return;
    }
    one.worker.kvRoom().lookBegins();
    prober
        .pulse(one.worker)
        .onFailure(failure -> ask(one))
        .onSuccess(pulse -> {
          pulse.load().ifPresent(one.worker.kvRoom()::looked);
          if (!pulse.startSeconds().equals(known.startSeconds())) {
            ask(one);
          }
        });
  }

  private void ask(Watched one) {
    if (ended) {
      return;
    }
    if (one.asking) {
      one.askAgain = true;
      return;
    }
    one.asking = true;
    one.askedNanos = nanoClock.getAsLong();
    prober
        .look(one.worker)
        .onComplete(asked -> {
          one.asking = false;
          if (asked.cause() instanceof ConnectException) {
            one.worker.refusedAt(nanoClock.getAsLong());
          }
          if (one.askAgain) {
            one.askAgain = false;
            ask(one);
          } else if (asked.succeeded()) {
            seen(one, asked.result());
          } else {
            missing(one, String.valueOf(asked.cause().getMessage()));
          }
        });
  }

  private void missing(Watched one, String why) {
    if (!why.equals(one.trouble)) {
      LOG.warn("{} does not answer: {}", one.worker, why);
    }
    one.trouble = why;
    one.learnt(Optional.empty());
    learnt.incrementAndGet();
    one.worker.breaker().isMissing(why, nanoClock.getAsLong());
    EdgeState state =
        new EdgeState.Broken(
            EdgeState.Cause.WORKER_GONE,
            "%s does not answer: %s".formatted(one.worker, why),
            nanoClock.getAsLong());
    one.edges.forEach(edge -> edge.become(state));
    checkSettled();
    vertx.setTimer(ASK_AGAIN.toMillis(), timer -> ask(one));
  }

  private void seen(Watched one, Sighting now) {
    Sighting sighting = one.sighting.map(now::or).orElse(now);
    boolean same = one.sighting.filter(sighting::saysTheSame).isPresent();
    one.trouble = "";
    one.learnt(Optional.of(sighting));
    learnt.incrementAndGet();
    one.worker.breaker().isThere(nanoClock.getAsLong());
    if (!same) {
      LOG.info("{} is {}", one.worker, sighting.words());
    }
    for (Edge edge : one.edges) {
      if (!same || !edge.isUsable()) {
        judge(edge);
      }
    }
    checkSettled();
  }

  // ---- judging ----

  private void judge(Edge edge) {
    Watched prefill = of(edge.prefill());
    Watched decode = of(edge.decode());
    if (prefill.sighting.isEmpty() || decode.sighting.isEmpty()) {
      return;
    }
    Sighting p = prefill.sighting.get();
    Sighting d = decode.sighting.get();
    Pairing pairing = routeOf(edge).route().pairing();
    switch (judge.judge(new Seen(edge.prefill(), p), new Seen(edge.decode(), d), pairing)) {
      case Ruling.Refuses(List<Judgement> tried) -> edge.become(new EdgeState.Refused(tried));
      case Ruling.Fits(Way way, List<String> notes, boolean needsCanary) -> {
        boolean mended = repairs.containsKey(edge) && pairing.canary() != CanaryRule.OFF;
        if (needsCanary || mended) {
          tryOut(edge, way, notes, p, d);
        } else {
          edge.become(new EdgeState.Usable(way, notes));
        }
      }
    }
  }

  private void tryOut(Edge edge, Way way, List<String> notes, Sighting p, Sighting d) {
    if (ended || !flying.add(edge)) {
      return;
    }
    if (!(edge.state() instanceof EdgeState.Broken)) {
      edge.become(new EdgeState.Pending("it is being tried out"));
    }
    canary
        .fly(new Canary.Flight(edge, way, p, d))
        .onComplete(flown -> {
          flying.remove(edge);
          boolean current = isStill(of(edge.prefill()), p) && isStill(of(edge.decode()), d);
          if (!current) {
            judge(edge);
          } else if (flown.succeeded()) {
            repairs.remove(edge);
            edge.become(new EdgeState.Usable(way, notes));
          } else {
            edge.become(
                new EdgeState.Broken(
                    EdgeState.Cause.FAILURES,
                    "the canary: " + flown.cause().getMessage(),
                    nanoClock.getAsLong()));
          }
          checkSettled();
        });
  }

  private static boolean isStill(Watched one, Sighting judged) {
    return one.sighting.filter(judged::saysTheSame).isPresent();
  }

  private RouteEdges routeOf(Edge edge) {
    RouteEdges edges = routes.get(edge);
    if (edges == null) {
      throw new IllegalStateException(edge + " is not watched");
    }
    return edges;
  }

  // ---- mending ----

  private void changed(Edge edge, EdgeState before) {
    switch (edge.state()) {
      case EdgeState.Broken(EdgeState.Cause cause, String why, _) -> {
        if (!(before instanceof EdgeState.Broken(_, String same, _) && same.equals(why))) {
          LOG.warn("{} is not used: {}", edge, why);
        }
        switch (cause) {
          case FAILURES -> context.runOnContext(v -> mendLater(edge));
          case WORKER_GONE -> {}
        }
      }
      case EdgeState.Refused refused -> LOG.warn("{} cannot be used: {}", edge, refused.first());
      case EdgeState.Usable(Way way, _) -> LOG.info("{} is used, way {}", edge, way);
      case EdgeState.Pending(String why) -> LOG.debug("{}: {}", edge, why);
    }
  }

  private void mendLater(Edge edge) {
    if (ended) {
      return;
    }
    int before = repairs.merge(edge, 1, (a, b) -> Math.min(a + b, MOST_REPAIR_DOUBLINGS + 1)) - 1;
    Duration pause = FIRST_REPAIR.multipliedBy(1L << before);
    vertx.setTimer(
        pause.toMillis(),
        timer -> {
          if (edge.state() instanceof EdgeState.Broken) {
            ask(of(edge.prefill()));
            ask(of(edge.decode()));
          }
        });
  }

  private void checkSettled() {
    if (!settled.future().isComplete() && all.stream().noneMatch(RouteEdges::isPending)) {
      settled.complete();
    }
  }
}
