package dev.millrace.router;

import dev.millrace.config.Deadlines;
import dev.millrace.layout.compatibility.Way;
import dev.millrace.router.agents.Carried;
import dev.millrace.router.choose.Blame;
import dev.millrace.router.choose.Chooser;
import dev.millrace.router.choose.Reservation;
import dev.millrace.router.choose.Traits;
import dev.millrace.router.edges.Edge;
import dev.millrace.router.handoff.Parameters.Found;
import dev.millrace.router.handoff.Pinned;
import dev.millrace.router.http.ClientRequest;
import dev.millrace.router.pools.Worker;
import io.vertx.core.buffer.Buffer;
import java.util.Optional;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Gets prompts into a decode worker's prefix cache, one hand-off each, before it is given a request
 * that has several sequences.
 *
 * <p>Nothing is tried again here: a prompt that does not get across is computed by the decode
 * worker with the request, and the answer is the same.
 */
final class Priming {
  /** Prompts on their way at the same time. */
  private static final int AT_ONCE = 8;

  private final Lane lane;
  private final HeldBlocks.Origin origin;
  private final Chooser chooser;
  private final Places places;
  private final Worker decode;

  Priming(Lane lane, HeldBlocks.Origin origin, Chooser chooser, Places places, Worker decode) {
    this.lane = lane;
    this.origin = origin;
    this.chooser = chooser;
    this.places = places;
    this.decode = decode;
  }

  /** Does it when subscribed to, and says how many prompts got across. */
  Mono<Long> of(Iterable<ClientRequest> prompts) {
    return Flux.fromIterable(prompts)
        .index()
        .flatMap(prompt -> one(prompt.getT2(), origin.requestId() + "-p" + prompt.getT1()), AT_ONCE)
        .filter(across -> across)
        .count();
  }

  private Mono<Boolean> one(ClientRequest prompt, String requestId) {
    Traits traits = new Traits(prompt, origin.headers());
    Optional<Reservation> place = chooser.anotherPrompt(traits, decode);
    if (place.isEmpty()) {
      return Mono.just(false);
    }
    Worker prefill = place.get().worker();
    Edge edge = chooser.edges().between(prefill, decode);
    HeldBlocks.Origin named =
        new HeldBlocks.Origin(origin.api(), origin.headers(), requestId, origin.model());
    HeldBlocks blocks = new HeldBlocks(lane, named, chooser, places, new Blame());
    chooser.prefillSent(prefill, traits);
    return prefill(prompt, edge, named, blocks)
        .doFinally(end -> {
          place.get().release();
          blocks.letGo(null);
        });
  }

  private Mono<Boolean> prefill(
      ClientRequest prompt, Edge edge, HeldBlocks.Origin named, HeldBlocks blocks) {
    Worker worker = edge.prefill();
    return PrefillLeg.on(
            lane,
            worker,
            named.api(),
            named.headers(),
            named.requestId(),
            prompt.prefillBody(
                lane.house.watch().atStop(worker), lane.house.watch().tokenReuse(decode)),
            () -> {},
            blocks::orphaned)
        .timeout(deadlines().prefill(), Mono.empty(), lane.scheduler)
        .flatMap(prefilled ->
            switch (prefilled) {
              case PrefillLeg.Prefilled.Done(Found.Blocks(Pinned pinned), _)
                  when worker.ownsSideChannel(pinned.host(), pinned.port()) -> {
                blocks.enter(worker, pinned);
                yield lane.house.watch().isStill(worker, pinned.engineId())
                    ? carry(prompt, edge, pinned, named, blocks)
                    : Mono.just(false);
              }
              case PrefillLeg.Prefilled.Done _, PrefillLeg.Prefilled.Failed _ -> Mono.just(false);
            })
        .defaultIfEmpty(false);
  }

  private Mono<Boolean> carry(
      ClientRequest prompt, Edge edge, Pinned pinned, HeldBlocks.Origin named, HeldBlocks blocks) {
    Way way = edge.way();
    if (way == Way.ENGINE) {
      return take(prompt, edge, pinned.object(), pinned, named, blocks);
    }
    Carriage carriage =
        new Carriage(
            lane.house.agents,
            pinned,
            lane.house.watch().sighting(decode),
            Carriage.within(deadlines().firstToken()));
    Mono<Carried> carried =
        Mono.create(sink -> {
          Carriage.UnderWay underWay = carriage.by(way, Optional.empty());
          sink.onCancel(underWay.cancel()::run);
          underWay.outcome().onSuccess(sink::success).onFailure(failure -> sink.success());
        });
    return carried.flatMap(brought -> {
      brought.copy().ifPresent(blocks::copied);
      return take(prompt, edge, brought.parameters(), pinned, named, blocks);
    });
  }

  private Mono<Boolean> take(
      ClientRequest prompt,
      Edge edge,
      Buffer parameters,
      Pinned pinned,
      HeldBlocks.Origin named,
      HeldBlocks blocks) {
    blocks.readBy(decode);
    return DecodeLeg.on(
            lane,
            decode,
            prompt,
            named.headers(),
            named.requestId(),
            prompt.primingBody(
                parameters, pinned.promptTokenIds(), lane.house.watch().tokenReuse(decode)),
            DecodeLeg.Reads.BLOCKS,
            blocks::sent,
            report -> chooser.edges().transferred(edge, report, lane.house.nanoClock.getAsLong()))
        .timeout(deadlines().firstToken(), Mono.empty(), lane.scheduler)
        .map(decoded ->
            switch (decoded) {
              case DecodeLeg.Decoded.Whole _, DecodeLeg.Decoded.Speaks _ -> {
                blocks.consumed();
                edge.handedOff();
                yield true;
              }
              case DecodeLeg.Decoded.Failed(Fault fault) -> {
                if (fault.isWorkersOwn() && !(fault instanceof Fault.Unreachable)) {
                  edge.failed(fault.problem().message(), lane.now());
                }
                blocks.letGo(fault);
                yield false;
              }
            });
  }

  private Deadlines deadlines() {
    return chooser.route().deadlines();
  }
}
