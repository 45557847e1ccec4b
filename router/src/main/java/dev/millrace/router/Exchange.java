package dev.millrace.router;

import dev.millrace.config.Route;
import dev.millrace.layout.compatibility.Way;
import dev.millrace.router.Understanding.Understood;
import dev.millrace.router.access.Caller;
import dev.millrace.router.access.Keys;
import dev.millrace.router.admit.Admission;
import dev.millrace.router.admit.Gate;
import dev.millrace.router.agents.Carried;
import dev.millrace.router.agents.NotCarried;
import dev.millrace.router.choose.Blame;
import dev.millrace.router.choose.Choice;
import dev.millrace.router.choose.Chooser;
import dev.millrace.router.choose.Keepers.Keeper;
import dev.millrace.router.choose.Reservation;
import dev.millrace.router.choose.Traits;
import dev.millrace.router.edges.Edge;
import dev.millrace.router.edges.RouteEdges;
import dev.millrace.router.handoff.HandOff;
import dev.millrace.router.handoff.Parameters.Found;
import dev.millrace.router.handoff.Pinned;
import dev.millrace.router.http.Api;
import dev.millrace.router.http.Body;
import dev.millrace.router.http.Classified;
import dev.millrace.router.http.ClientRequest;
import dev.millrace.router.http.ClientRequest.Course;
import dev.millrace.router.http.ClientRequest.TokenReuse;
import dev.millrace.router.http.KeptResponse;
import dev.millrace.router.http.ModelNames;
import dev.millrace.router.http.Patience;
import dev.millrace.router.http.Problem;
import dev.millrace.router.http.PromptAnswer;
import dev.millrace.router.http.RequestId;
import dev.millrace.router.http.ResponseId;
import dev.millrace.router.match.ServedBranch;
import dev.millrace.router.match.ServedRoute;
import dev.millrace.router.pools.TransferReport;
import dev.millrace.router.pools.Worker;
import dev.millrace.router.telemetry.Waterfall;
import dev.millrace.router.telemetry.Waterfall.Part;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpServerRequest;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;

/**
 * One request's life, from its first byte to the last of its answer.
 *
 * <p>The phases follow in the order of the file. Each is a step of one Reactor pipeline that ends
 * in an {@link Ending}; the subscription to it is the one owner of whatever leg is open. Whoever
 * gives up, a deadline or a client that left, cancels it, and the leg is reset.
 */
final class Exchange {
  private static final Logger LOG = LoggerFactory.getLogger(Exchange.class);

  /** A probe takes a few round trips, a canary a few short answers. */
  private static final Duration VERDICT_WITHIN = Duration.ofSeconds(5);

  private static final Duration LOOK_AGAIN = Duration.ofMillis(20);

  /** A stream more or less ends in that time on a busy worker; one exchange at a time looks. */
  private static final Duration LOOK_FOR_ROOM = Duration.ofMillis(5);

  private final Lane lane;
  private final Api api;
  private final @Nullable KeptResponse asked;
  private final HttpServerRequest request;
  private final String requestId;
  private final Waterfall waterfall;
  private final Reply reply;
  private final Places places = new Places();
  private final Blame blame = new Blame();

  private @Nullable Service service;
  private @Nullable Edge edge;
  private @Nullable PromptAnswer promptAnswer;
  private @Nullable Tally tally;
  private long waitingSinceNanos;
  private int prefillRetries;
  private int decodeRetries;
  private int staleConnections;
  private long retryNanos;
  private @Nullable Disposable running;
  private boolean answered;
  private boolean settled;

  /** What is known once the request is understood. */
  private record Service(
      Caller caller,
      ClientRequest client,
      @Nullable ModelNames names,
      Traits traits,
      ServedRoute target,
      ServedBranch branch,
      HeldBlocks blocks) {
    Chooser chooser() {
      return branch.chooser();
    }

    Route route() {
      return chooser().route();
    }

    /** Null if there is none, or it could not serve the request either. */
    @Nullable ServedRoute fallback() {
      return client.course() instanceof Course.AtKeeper ? null : target.fallback();
    }
  }

  private Exchange(Lane lane, Api api, @Nullable KeptResponse asked, HttpServerRequest request) {
    this.lane = lane;
    this.api = api;
    this.asked = asked;
    this.request = request;
    this.requestId = RequestId.keptOrFresh(request.getHeader(RequestId.HEADER), lane.random);
    String path = asked == null ? api.path() : Understanding.shortened(asked.uri());
    this.waterfall = new Waterfall(requestId, path, lane.now());
    this.reply = new Reply(lane, request, requestId, api.errors());
    lane.house.gauges.exchanges.incrementAndGet();
  }

  /** Takes a request on, in the handler that got its head. */
  static void begin(Lane lane, Api api, HttpServerRequest request) {
    begin(new Exchange(lane, api, null, request));
  }

  /** The same of one for a response that an engine keeps. */
  static void begin(Lane lane, KeptResponse asked, HttpServerRequest request) {
    begin(new Exchange(lane, Api.RESPONSES, asked, request));
  }

  private static void begin(Exchange exchange) {
    exchange.reply.onClientLeft(exchange::clientLeft);
    Disposable running =
        exchange.authenticate().subscribe(exchange::settle, exchange::failedInside);
    if (!exchange.settled) {
      exchange.running = running;
    }
  }

  // ---- authenticate: who asks, and whether it is its turn ----

  private Mono<Ending> authenticate() {
    return switch (lane.house.keys().of(request.headers())) {
      case Keys.Identity.Stranger(Problem problem) -> Mono.just(new Ending.Refused(problem));
      case Keys.Identity.Known(Caller known) -> {
        waterfall.askedBy(known.name());
        reply.limitsOf(known);
        yield switch (known.next(lane.now())) {
          case Caller.Turn.Denied(Problem problem) -> Mono.just(new Ending.Refused(problem));
          case Caller.Turn.Granted(Optional<Gate.Place> place) -> {
            place.ifPresent(places::ofCaller);
            yield receive(known);
          }
        };
      }
    };
  }

  // ---- receive and classify: which model, which form of answer, where the members stand ----

  private Mono<Ending> receive(Caller caller) {
    return Intake.of(lane, api, asked, request, () -> waterfall.ended(Part.RECEIVE, lane.now()))
        .flatMap(classified -> route(caller, classified));
  }

  private Mono<Ending> route(Caller caller, Classified classified) {
    if (classified instanceof ClientRequest client) {
      waterfall.model(Understanding.shortened(client.model()));
    }
    Understanding.Asked how = new Understanding.Asked(api, request.headers(), requestId);
    return switch (Understanding.of(lane.house, caller, how, classified)) {
      case Understood.Refused(Problem problem) -> Mono.just(new Ending.Refused(problem));
      case Understood.Served(var client, var traits, var target, var branch, var enginesName) -> {
        waterfall.model(Understanding.shortened(client.model()));
        yield withinTotal(
            service(caller, client, traits, target, branch, enginesName, client.model()));
      }
    };
  }

  /**
   * What a branch of a route does for a request.
   *
   * @param enginesName by which its engines are asked for the model
   * @param clientsName by which the answer has it
   */
  private Service service(
      Caller caller,
      ClientRequest client,
      Traits traits,
      ServedRoute target,
      ServedBranch branch,
      String enginesName,
      String clientsName) {
    branch.taken().increment();
    waterfall.route(
        target.name(),
        target.isSplit() ? branch.name() : null,
        Understanding.shortened(enginesName));
    HeldBlocks.Origin origin =
        new HeldBlocks.Origin(api, request.headers(), requestId, enginesName);
    return new Service(
        caller,
        client.askedAs(enginesName),
        ModelNames.between(enginesName, clientsName),
        traits,
        target,
        branch,
        new HeldBlocks(lane, origin, branch.chooser(), places, blame));
  }

  private Mono<Ending> withinTotal(Service understood) {
    Optional<Problem> tooMany = takeTokens(understood);
    if (tooMany.isPresent()) {
      return Mono.just(new Ending.Refused(tooMany.get()));
    }
    service = understood;
    Duration longest = understood.route().deadlines().total();
    return switch (Patience.of(request.headers(), longest)) {
      case Patience.Unreadable(Problem problem) -> Mono.just(new Ending.Refused(problem));
      case Patience.Lasts(Duration total) ->
          take(understood).timeout(total, Mono.fromSupplier(() -> tooLong(total)), lane.scheduler);
    };
  }

  /** Those of callers that have only so many; given back in the end as far as they are not used. */
  private Optional<Problem> takeTokens(Service understood) {
    if (!understood.caller().countsTokens() || !understood.client().costsTokens()) {
      return Optional.empty();
    }
    Tally taking = new Tally(understood.caller(), understood.client());
    Optional<Problem> tooMany = taking.take(lane.now());
    if (tooMany.isEmpty()) {
      tally = taking;
    }
    return tooMany;
  }

  private static Ending tooLong(Duration total) {
    return new Ending.Refused(
        new Problem(
            Problem.Side.US,
            504,
            "total_timeout",
            "The answer was not complete within %d ms, the limit of its route or of its own %s"
                .formatted(total.toMillis(), Patience.HEADER),
            Problem.Retry.SOON));
  }

  // ---- take: a route, or where it sends what it cannot serve, as long as nothing was said ----

  private Mono<Ending> take(Service to) {
    ServedRoute fallback = to.fallback();
    return fallback == null
        ? admit(to)
        : admit(to).flatMap(ending -> unlessServed(to, ending, fallback));
  }

  private Mono<Ending> unlessServed(Service from, Ending ending, ServedRoute fallback) {
    Optional<String> why = answered ? Optional.empty() : ending.whyNotServed();
    return why.isEmpty() ? Mono.just(ending) : fallBack(from, fallback, why.get());
  }

  private Mono<Ending> fallBack(Service from, ServedRoute to, String why) {
    from.target().fellBack(why);
    waterfall.fellBack(from.target().name(), why, lane.now());
    from.blocks().letGo(null);
    places.leaveRoute();
    edge = null;
    promptAnswer = null;
    waitingSinceNanos = 0;
    prefillRetries = 0;
    decodeRetries = 0;
    staleConnections = 0;
    ServedBranch branch = to.branchOf(from.traits(), requestId);
    String model = to.inPlaceOf(from.client().model(), branch);
    Service next =
        service(
            from.caller(), from.client(), from.traits(), to, branch, branch.askedFor(model), model);
    service = next;
    return take(next);
  }

  // ---- admit: a place on the route, if need be after those that came before ----

  private Mono<Ending> admit(Service to) {
    Optional<Problem> tooMany = beyondRate(to);
    if (tooMany.isPresent()) {
      return Mono.just(new Ending.Refused(tooMany.get()));
    }
    return Admission.to(to.target().gate(), to.caller().priority(), lane.scheduler)
        .flatMap(verdict ->
            switch (verdict) {
              case Admission.Verdict.Refused(Problem problem) ->
                  Mono.just(new Ending.Refused(problem));
              case Admission.Verdict.Admitted(Gate.Place place) -> {
                places.onRoute(place);
                to.chooser().retries().asked(lane.now());
                yield choose(to);
              }
            });
  }

  private Optional<Problem> beyondRate(Service to) {
    Optional<Problem> tooMany = to.target().gate().takeRequest(lane.now());
    if (tooMany.isPresent()) {
      return tooMany;
    }
    if (tally == null && to.target().gate().countsTokens() && to.client().costsTokens()) {
      tally = new Tally(to.caller(), to.client());
    }
    return tally == null ? Optional.empty() : tally.takeOf(to.target().gate(), lane.now());
  }

  // ---- choose: a prefill and a decode worker that fit, both with a place ----

  private Mono<Ending> choose(Service to) {
    boolean othersWait = !to.branch().line().isEmpty();
    return othersWait && to.chooser().whyAlone(to.traits()).isEmpty()
        ? waitForRoom(to)
        : go(to, to.chooser().choose(to.traits(), blame));
  }

  private Mono<Ending> go(Service to, Choice choice) {
    to.traits().weighed().ifPresent(waterfall::weighed);
    return switch (choice) {
      case Choice.Refuse(Problem problem) -> Mono.just(new Ending.Refused(problem));
      case Choice.NotYet() -> waitForVerdict(to);
      case Choice.Full _ -> waitForRoom(to);
      case Choice.Disaggregate(Edge pair, Reservation first, Reservation second) -> {
        places.take(first, second);
        if (to.client().course() instanceof Course.Primed(var prompts, String why)) {
          yield prime(to, prompts, why);
        }
        edge = pair;
        yield prefillLeg(to, first.worker());
      }
      case Choice.DecodeOnly(Reservation alone, String why) -> {
        waterfall.bypassed(why);
        places.takeDecode(alone);
        edge = null;
        waterfall.ended(Part.QUEUE, lane.now());
        yield decodeLeg(to, to.client().decodeBody());
      }
    };
  }

  /** One after the other, or short prompts would overtake a long one for ever. */
  private Mono<Ending> waitForRoom(Service to) {
    long since = lane.now();
    return Admission.to(to.branch().line(), to.caller().priority(), lane.scheduler)
        .flatMap(verdict ->
            switch (verdict) {
              case Admission.Verdict.Refused _ -> Mono.just(new Ending.Refused(noRoom(to)));
              case Admission.Verdict.Admitted(Gate.Place place) -> {
                places.inLine(place);
                yield nextToFindRoom(to, since);
              }
            });
  }

  private Mono<Ending> nextToFindRoom(Service to, long sinceNanos) {
    Choice choice = to.chooser().choose(to.traits(), blame);
    long waited = lane.now() - sinceNanos;
    if (choice instanceof Choice.Full && waited < to.route().limits().patience().toNanos()) {
      return Mono.delay(LOOK_FOR_ROOM, lane.scheduler)
          .flatMap(now -> nextToFindRoom(to, sinceNanos));
    }
    places.leaveLine();
    waterfall.waitedForRoom(waited);
    return choice instanceof Choice.Full
        ? Mono.just(new Ending.Refused(noRoom(to)))
        : go(to, choice);
  }

  private static Problem noRoom(Service to) {
    return new Problem(
        Problem.Side.US,
        503,
        "overloaded",
        "No decode worker has had room in its KV cache for the prompt within %d ms, or too many wait for some"
            .formatted(to.route().limits().patience().toMillis()),
        Problem.Retry.SOON);
  }

  // ---- prime: prompts of a request with several sequences get into the decode worker's cache ----

  private Mono<Ending> prime(Service to, List<ClientRequest> prompts, String why) {
    Worker decode = Objects.requireNonNull(places.decodeWorker(), "no place on a decode worker");
    places.releasePrefill();
    edge = null;
    waterfall.ended(Part.QUEUE, lane.now());
    if (!lane.house.watch().keepsPrefixes(decode)) {
      waterfall.bypassed(why + ", and the decode worker keeps no prefixes");
      return decodeLeg(to, to.client().decodeBody());
    }
    return new Priming(lane, to.blocks().origin(), to.chooser(), places, decode)
        .of(prompts)
        .flatMap(across -> {
          waterfall.primed(prompts.size(), across);
          waterfall.ended(Part.P, lane.now());
          return decodeLeg(to, to.client().decodeBody());
        });
  }

  /** Workers are asked what they are when the router starts, and when one was restarted. */
  private Mono<Ending> waitForVerdict(Service to) {
    if (waitingSinceNanos == 0) {
      waitingSinceNanos = lane.now();
    } else if (lane.now() - waitingSinceNanos > VERDICT_WITHIN.toNanos()) {
      return Mono.just(new Ending.Refused(noVerdict(to.client().model())));
    }
    return Mono.delay(LOOK_AGAIN, lane.scheduler).flatMap(now -> choose(to));
  }

  private static Problem noVerdict(String model) {
    return new Problem(
        Problem.Side.US,
        503,
        "pairs_unknown",
        "The workers for model \""
            + Understanding.shortened(model)
            + "\" have not said yet what they are; GET"
            + " /pd/matrix on the admin port says what is missing",
        Problem.Retry.SOON);
  }

  // ---- prefill leg: the prompt is computed; another worker may take over ----

  private Mono<Ending> prefillLeg(Service to, Worker worker) {
    waterfall.prefillOn(worker.url());
    isSent();
    to.chooser().prefillSent(worker, to.traits());
    waterfall.ended(Part.QUEUE, lane.now());
    Duration deadline = to.route().deadlines().prefill();
    return PrefillLeg.on(
            lane,
            worker,
            api,
            request.headers(),
            requestId,
            to.client().prefillBody(lane.house.watch().atStop(worker), tokenReuse()),
            () -> waterfall.ended(Part.P_CONNECT, lane.now()),
            to.blocks()::orphaned)
        .timeout(
            deadline,
            Mono.fromSupplier(() ->
                new PrefillLeg.Prefilled.Failed(
                    late(worker, "did not answer the prefill", deadline))),
            lane.scheduler)
        .flatMap(prefilled -> {
          waterfall.ended(Part.P, lane.now());
          return switch (prefilled) {
            case PrefillLeg.Prefilled.Done(Found blocks, Body said) -> {
              to.chooser().prefilled(worker, to.traits(), waterfall.nanos(Part.P_CONNECT, Part.P));
              promptAnswer = to.client().promptAnswer(said.bytes(), said.length()).orElse(null);
              yield handOff(to, worker, blocks);
            }
            case PrefillLeg.Prefilled.Failed(Fault fault) -> prefillFailed(to, fault);
          };
        });
  }

  private void isSent() {
    if (tally != null) {
      tally.sent();
    }
  }

  /** A leg that was reset by its deadline has failed like any other. */
  private Fault late(Worker worker, String what, Duration deadline) {
    Fault late = new Fault.Late(worker, what, deadline);
    worker.legFailed();
    late.count(lane.now());
    return late;
  }

  /** Whoever does not answer, or breaks off, may have been restarted as another engine. */
  private void suspect(Fault fault) {
    switch (fault) {
      case Fault.Unreachable(Worker worker, _) -> lane.house.watch().suspect(worker);
      case Fault.Broken(Worker worker, _, _) -> lane.house.watch().suspect(worker);
      case Fault.Late _, Fault.Garbage _, Fault.Answered _, Fault.NotBrought _ -> {}
    }
  }

  private Mono<Ending> prefillFailed(Service to, Fault fault) {
    if (mayReconnect(fault)) {
      waterfall.retried(lane.now());
      return prefillLeg(to, fault.worker());
    }
    suspect(fault);
    Worker decode = places.decodeWorker();
    boolean mayRetry = fault.isWorkersOwn() && prefillRetries < to.route().retries().prefill();
    if (decode == null || !mayRetry || !budgetAllows(to)) {
      return Mono.just(new Ending.Failed(fault));
    }
    blame.on(fault.worker());
    Optional<Choice> another = to.chooser().anotherPrefill(to.traits(), blame, decode);
    if (another.isEmpty()) {
      return nobodyIsLeft(to, fault);
    }
    prefillRetries++;
    waterfall.retried(lane.now());
    return go(to, another.get());
  }

  /** Once, and at no charge to the route's budget, which says why. */
  private boolean mayReconnect(Fault fault) {
    return fault.isStaleConnection() && staleConnections++ == 0;
  }

  private boolean budgetAllows(Service to) {
    retryNanos = lane.now();
    boolean allowed = to.chooser().retries().spend(retryNanos);
    if (!allowed) {
      waterfall.retryRefused();
    }
    return allowed;
  }

  private Mono<Ending> nobodyIsLeft(Service to, Fault fault) {
    to.chooser().retries().unspend(retryNanos);
    return Mono.just(new Ending.Failed(fault));
  }

  // ---- hand off: the blocks enter the ledger; the decode leg's body names them ----

  private Mono<Ending> handOff(Service to, Worker holder, Found found) {
    places.releasePrefill();
    return switch (found) {
      case Found.Blocks(Pinned pinned) when !holder.ownsSideChannel(pinned.host(), pinned.port()) ->
          unfit(
              to, holder, "they name " + pinned.sideChannel() + ", which is not its side channel");
      case Found.Blocks(Pinned pinned) -> {
        to.blocks().enter(holder, pinned);
        if (pinned.tokens() > 0) {
          places.decodeNeeds(to.chooser().counted(to.traits(), pinned.tokens()));
        }
        if (promptAnswer == null && to.client().needsPromptAnswer()) {
          // Nobody but the decode worker is left to say it, and it can only for what it computes.
          to.blocks().letGo(null);
          yield decodeLeg(to, to.client().decodeBody());
        }
        yield lane.house.watch().isStill(holder, pinned.engineId())
            ? handOver(to, pinned)
            : anotherEngine(to, holder);
      }
      case Found.Unfit(String why) -> unfit(to, holder, why);
      case Found.Nothing(), Found.Garbage() -> decodeLeg(to, to.client().decodeBody());
    };
  }

  private Mono<Ending> unfit(Service to, Worker holder, String why) {
    lane.house.ledger.enterUnusable();
    LOG.warn(
        "{} answered kv_transfer_params that are not fit for a decode worker: {}", holder, why);
    return decodeLeg(to, to.client().decodeBody());
  }

  /** The prefill worker was restarted: what was found out about it and its edges does not hold. */
  private Mono<Ending> anotherEngine(Service to, Worker holder) {
    to.blocks().letGo(null);
    if (!budgetAllows(to)) {
      return Mono.just(new Ending.Refused(restarted(holder)));
    }
    waterfall.retried(lane.now());
    return choose(to);
  }

  private static Problem restarted(Worker holder) {
    return new Problem(
        Problem.Side.PREFILL,
        503,
        "prefill_restarted",
        "The prefill worker " + holder.url() + " is another engine than the one that was judged",
        Problem.Retry.SOON);
  }

  // ---- hand over: the blocks get to where the decode worker can read them ----

  private Mono<Ending> handOver(Service to, Pinned pinned) {
    Way way = edge == null ? Way.ENGINE : edge.way();
    if (way == Way.ENGINE) {
      waterfall.carried("engine", 0, Duration.ZERO);
      return decodeLeg(to, takingOver(to, pinned.object(), pinned));
    }
    Worker reader = Objects.requireNonNull(places.decodeWorker(), "no place on a decode worker");
    Carriage carriage =
        new Carriage(
            lane.house.agents,
            pinned,
            lane.house.watch().sighting(reader),
            Carriage.within(to.route().deadlines().firstToken()));
    Optional<Carried.Copy> before = to.blocks().copy();
    return Mono.<Mono<Ending>>create(
            sink -> {
              Carriage.UnderWay underWay = carriage.by(way, before);
              sink.onCancel(underWay.cancel()::run);
              underWay
                  .outcome()
                  .onSuccess(carried -> sink.success(Mono.defer(() -> broughtBy(to, way, carried))))
                  .onFailure(
                      failure -> sink.success(Mono.defer(() -> notBrought(to, way, failure))));
            })
        .flatMap(next -> next);
  }

  private Mono<Ending> broughtBy(Service to, Way way, Carried carried) {
    HandOff blocks = Objects.requireNonNull(to.blocks().handOff(), "nothing was handed off");
    if (!carried.isReadable(blocks, lane.now())) {
      return notBrought(to, way, NotCarried.tooLate());
    }
    waterfall.carried(carried.how(), carried.bytes(), carried.took());
    lane.house.carriages.brought(carried.how(), carried.bytes(), carried.took());
    carried.copy().ifPresent(to.blocks()::copied);
    return decodeLeg(to, takingOver(to, carried.parameters(), blocks.pinned()));
  }

  private Buffer takingOver(Service to, Buffer parameters, Pinned pinned) {
    return to.client().decodeBody(parameters, pinned.promptTokenIds(), tokenReuse());
  }

  private TokenReuse tokenReuse() {
    Worker worker = Objects.requireNonNull(places.decodeWorker(), "no place on a decode worker");
    return lane.house.watch().tokenReuse(worker);
  }

  private Mono<Ending> notBrought(Service to, Way way, Throwable failure) {
    waterfall.ended(Part.HAND_OFF, lane.now());
    lane.house.carriages.failed(
        way.toString(), failure instanceof NotCarried known ? known.reason() : "unknown");
    Worker reader = Objects.requireNonNull(places.decodeWorker(), "no place on a decode worker");
    Fault fault = new Fault.NotBrought(reader, String.valueOf(failure.getMessage()));
    if (edge != null) {
      if (failure instanceof NotCarried known && known.blamed() == NotCarried.Blamed.EDGE) {
        edge.failed(fault.problem().message(), lane.now());
      }
      blame.on(edge);
    }
    if (decodeRetries < to.route().retries().decode() && budgetAllows(to)) {
      decodeRetries++;
      return fromTheStart(to, fault);
    }
    to.blocks().letGo(fault);
    return Mono.just(new Ending.Failed(fault));
  }

  // ---- decode leg: the answer; nothing is tried again once the client has a byte of it ----

  private Mono<Ending> decodeLeg(Service to, Buffer body) {
    Worker worker = Objects.requireNonNull(places.decodeWorker(), "no place on a decode worker");
    waterfall.decodeOn(worker.url());
    isSent();
    to.chooser().decodeSent(worker, to.traits());
    waterfall.handsOver(to.blocks().handOff() != null);
    to.blocks().readBy(worker);
    Mono<DecodeLeg.Decoded> leg =
        DecodeLeg.on(
            lane,
            worker,
            to.client(),
            request.headers(),
            requestId,
            body,
            to.blocks().handOff() == null ? DecodeLeg.Reads.NOTHING : DecodeLeg.Reads.BLOCKS,
            progress -> decodeProgress(to, progress),
            transferListener(to));
    Mono<DecodeLeg.Decoded> inTime =
        switch (to.client().answer()) {
          // The first byte of a whole answer is its last: only the total counts.
          case WHOLE -> leg;
          case STREAM -> {
            Duration deadline = to.route().deadlines().firstToken();
            yield leg.timeout(
                deadline,
                Mono.fromSupplier(() ->
                    new DecodeLeg.Decoded.Failed(late(worker, "sent no first token", deadline))),
                lane.scheduler);
          }
        };
    return inTime.flatMap(decoded ->
        switch (decoded) {
          case DecodeLeg.Decoded.Failed(Fault fault) -> decodeFailed(to, fault);
          case DecodeLeg.Decoded.Whole(var status, var headers, var whole) -> {
            answering(to);
            if (to.client().isKept()) {
              ResponseId.ofWhole(whole).ifPresent(id -> keeps(to, worker, id));
            }
            if (tally != null) {
              tally.count().whole(whole);
            }
            boolean handedOver = to.blocks().handOff() != null;
            Buffer complete =
                promptAnswer == null || !handedOver ? whole : promptAnswer.completing(whole);
            yield Mono.just(
                new Ending.Whole(
                    status,
                    headers,
                    to.names() == null ? complete : to.names().whole(complete, headers)));
          }
          case DecodeLeg.Decoded.Speaks speaks -> {
            boolean fromBlocks = to.blocks().handOff() != null;
            answering(to);
            to.chooser()
                .begun(
                    worker,
                    to.traits(),
                    fromBlocks,
                    waterfall.nanos(Part.HAND_OFF, Part.D_BEFORE_FIRST_TOKEN));
            if (to.client().isKept()) {
              ResponseId.ofStream(speaks.held()).ifPresent(id -> keeps(to, worker, id));
            }
            to.client().isAnswered();
            yield StreamRelay.of(
                lane,
                speaks,
                reply.stream(),
                to.names(),
                to.route().deadlines().streamIdle(),
                () -> waterfall.ended(Part.STREAM, lane.now()),
                tally == null ? null : tally.count());
          }
        });
  }

  private void keeps(Service to, Worker worker, String response) {
    lane.house.keepers.keeps(
        response, new Keeper(worker, to.target().name(), to.client().model(), to.caller().name()));
  }

  /** Takes what the decode worker's counters say, after the exchange, on another event loop. */
  private Consumer<TransferReport> transferListener(Service to) {
    Edge used = edge;
    boolean named = to.blocks().handOff() != null;
    RouteEdges edges = to.chooser().edges();
    LongSupplier clock = lane.house.nanoClock;
    return counted -> {
      if (used == null) {
        waterfall.transferred(counted);
        return;
      }
      TransferReport report = named ? counted : new TransferReport.NothingNamed();
      waterfall.transferred(report);
      edges.transferred(used, report, clock.getAsLong());
    };
  }

  private void decodeProgress(Service to, DecodeLeg.Sent progress) {
    to.blocks().sent(progress);
    if (progress == DecodeLeg.Sent.PERHAPS) {
      waterfall.ended(Part.HAND_OFF, lane.now());
    }
  }

  private void answering(Service to) {
    answered = true;
    waterfall.firstToken(lane.now());
    places.decodeArrived();
    to.blocks().consumed();
    if (edge != null && to.blocks().handOff() != null) {
      edge.handedOff();
    }
  }

  private Mono<Ending> decodeFailed(Service to, Fault fault) {
    waterfall.ended(Part.D_BEFORE_FIRST_TOKEN, lane.now());
    // Blocks may have been read, so with them it is a new prompt computation and not a reconnect.
    if (to.blocks().handOff() == null && mayReconnect(fault)) {
      waterfall.retried(lane.now());
      return decodeLeg(to, to.client().decodeBody());
    }
    suspect(fault);
    countAgainstEdge(to, fault);
    boolean mayRetry =
        fault.isWorkersOwn()
            && !(fault instanceof Fault.Late)
            && decodeRetries < to.route().retries().decode()
            && budgetAllows(to);
    if (!mayRetry) {
      to.blocks().letGo(fault);
      return Mono.just(new Ending.Failed(fault));
    }
    decodeRetries++;
    if (!fault.isStaleConnection()) {
      blame.on(fault.worker());
    }
    if (fault instanceof Fault.Unreachable) {
      Optional<Mono<Ending>> withTheSameBlocks = anotherDecode(to);
      if (withTheSameBlocks.isPresent()) {
        return withTheSameBlocks.get();
      }
    }
    return fromTheStart(to, fault);
  }

  /** A failure is the edge's own if blocks were to go over it and the request was not at fault. */
  private void countAgainstEdge(Service to, Fault fault) {
    if (edge == null || to.blocks().handOff() == null || fault.isStaleConnection()) {
      return;
    }
    if (fault.isWorkersOwn() && !(fault instanceof Fault.Unreachable)) {
      edge.failed(fault.problem().message(), lane.now());
      blame.on(edge);
    }
  }

  /** The same blocks, or none, at another decode worker: no byte has reached the first one. */
  private Optional<Mono<Ending>> anotherDecode(Service to) {
    HandOff blocks = to.blocks().handOff();
    if (blocks == null) {
      return to.chooser()
          .anyDecode(to.traits(), blame)
          .map(place -> {
            places.takeDecode(place);
            return decodeLeg(to, to.client().decodeBody());
          });
    }
    if (!to.blocks().areUsable()) {
      return Optional.empty();
    }
    return to.chooser()
        .anotherDecode(to.traits(), blame, blocks.holder())
        .map(place -> {
          places.takeDecode(place);
          edge = to.chooser().edges().between(blocks.holder(), place.worker());
          return handOver(to, blocks.pinned());
        });
  }

  /** A new prompt computation, with other workers as far as there are any. */
  private Mono<Ending> fromTheStart(Service to, Fault fault) {
    HandOff held = to.blocks().handOff();
    if (held != null && !fault.isStaleConnection() && !(fault instanceof Fault.NotBrought)) {
      blame.on(held.holder());
    }
    to.blocks().letGo(fault);
    if (to.chooser().idlestDecode(blame).isEmpty() && fault instanceof Fault.Unreachable) {
      return nobodyIsLeft(to, fault);
    }
    Choice choice = to.chooser().choose(to.traits(), blame);
    if (choice instanceof Choice.Refuse) {
      return nobodyIsLeft(to, fault);
    }
    waterfall.retried(lane.now());
    return go(to, choice);
  }

  // ---- settle: exactly once, however it ended ----

  private void clientLeft() {
    settle(new Ending.ClientLeft());
  }

  private void failedInside(Throwable e) {
    LOG.error("exchange {} failed inside the router", requestId, e);
    settle(
        new Ending.Refused(
            new Problem(
                Problem.Side.US,
                500,
                "internal_error",
                "Millrace failed; its log says more",
                Problem.Retry.NEVER)));
  }

  private void settle(Ending ending) {
    if (settled) {
      return;
    }
    settled = true;
    if (running != null) {
      running.dispose();
    }
    if (tally != null) {
      waterfall.tokens(tally.taken(), tally.settle(ending, reply.hasBegun(), lane.now()));
    }
    int status = finish(ending);
    if (service != null) {
      service.blocks().letGo(null);
    }
    places.release();
    waterfall.settled(status, ending.getClass().getSimpleName(), lane.now());
    lane.house.recent.add(waterfall);
    lane.house.gauges.exchanges.decrementAndGet();
    LOG.debug("{} {} {}", requestId, status, ending.getClass().getSimpleName());
  }

  /** The books are closed also if the last bytes cannot be written. */
  private int finish(Ending ending) {
    try {
      return reply.finish(ending);
    } catch (RuntimeException e) {
      LOG.error("exchange {} could not be answered", requestId, e);
      reply.hangUp();
      return 0;
    }
  }
}
