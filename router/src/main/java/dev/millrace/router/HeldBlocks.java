package dev.millrace.router;

import dev.millrace.layout.compatibility.Way;
import dev.millrace.router.agents.Carried;
import dev.millrace.router.choose.Blame;
import dev.millrace.router.choose.Chooser;
import dev.millrace.router.handoff.HandOff;
import dev.millrace.router.handoff.Outcome;
import dev.millrace.router.handoff.Pinned;
import dev.millrace.router.handoff.RefusedRequest;
import dev.millrace.router.http.Api;
import dev.millrace.router.pools.Worker;
import io.vertx.core.MultiMap;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The blocks of one prompt that are held for a decode leg, at the prefill worker or as an agent's
 * copy, and how they are let go when no leg reads them. Owned by the exchange's event loop.
 */
final class HeldBlocks {
  private final Lane lane;
  private final Origin origin;
  private final Chooser chooser;
  private final Places places;
  private final Blame blame;
  private @Nullable HandOff handOff;
  private Carried.@Nullable Copy copy;
  private DecodeLeg.Sent sent = DecodeLeg.Sent.NOTHING;

  /** What of the client's request goes along with every leg. */
  record Origin(Api api, MultiMap headers, String requestId, String model) {}

  HeldBlocks(Lane lane, Origin origin, Chooser chooser, Places places, Blame blame) {
    this.lane = lane;
    this.origin = origin;
    this.chooser = chooser;
    this.places = places;
    this.blame = blame;
  }

  /** What goes along with every leg. */
  Origin origin() {
    return origin;
  }

  /** Takes on the blocks that a prefill worker has named. */
  HandOff enter(Worker holder, Pinned pinned) {
    HandOff entered = lane.house.ledger.enter(holder, pinned, lane.now());
    handOff = entered;
    return entered;
  }

  /** The blocks at the prefill worker, or where an agent has them from. */
  @Nullable HandOff handOff() {
    return handOff;
  }

  /** An agent's copy of them. */
  Optional<Carried.Copy> copy() {
    return Optional.ofNullable(copy);
  }

  /** An agent has read the blocks, and told the prefill engine. */
  void copied(Carried.Copy made) {
    copy = made;
    if (handOff != null) {
      handOff.end(new Outcome.Consumed());
    }
  }

  /** Whether a decode leg may be pointed at them. */
  boolean areUsable() {
    return copy != null || (handOff != null && handOff.isUsable(lane.now()));
  }

  /** A leg that is to read them begins. */
  void readBy(Worker worker) {
    sent = DecodeLeg.Sent.NOTHING;
    if (handOff != null) {
      handOff.readBy(worker);
    }
  }

  /** How far that leg has got. */
  void sent(DecodeLeg.Sent progress) {
    sent = progress;
  }

  /** That leg answers: its worker has read them. */
  void consumed() {
    // A copy's reader has it, and says so itself.
    copy = null;
    if (handOff != null) {
      handOff.end(new Outcome.Consumed());
    }
  }

  /** Blocks of an answer that nobody waits for any more. */
  void orphaned(Worker holder, Pinned pinned) {
    if (holder.ownsSideChannel(pinned.host(), pinned.port())) {
      release(lane.house.ledger.enter(holder, pinned, lane.now()), Release.When.NOW);
    }
  }

  /** Sees to it that blocks nobody will read are freed; after a fault of the decode leg if any. */
  void letGo(@Nullable Fault fault) {
    HandOff blocks = handOff;
    handOff = null;
    dropCopy(fault);
    if (blocks == null || !blocks.isOpen()) {
      return;
    }
    boolean refusedByEngine =
        fault instanceof Fault.Answered answered && RefusedRequest.freesBlocks(answered.status());
    boolean abortedByUs = fault == null || fault instanceof Fault.Late;
    if (refusedByEngine || (abortedByUs && sent == DecodeLeg.Sent.ANSWERED)) {
      // vLLM frees the blocks itself when it refuses or aborts a request that it knows.
      blocks.end(new Outcome.Released(Outcome.By.DECODE_ENGINE));
      return;
    }
    if (blocks.holder().refusedSince(blocks.sinceNanos())) {
      blocks.end(new Outcome.Lost());
      return;
    }
    Release.When when =
        fault instanceof Fault.Answered || sent == DecodeLeg.Sent.NOTHING
            ? Release.When.NOW
            : Release.When.AFTER_ABORT;
    release(blocks, when);
  }

  private void dropCopy(@Nullable Fault fault) {
    Carried.Copy held = copy;
    copy = null;
    if (held != null) {
      AbandonedCopy.of(lane, held, sent, fault);
    }
  }

  private void release(HandOff blocks, Release.When when) {
    Release.of(
        lane,
        blocks,
        when,
        new Release.Request(
            releasingWorker(blocks),
            RefusedRequest.api(origin.api()),
            origin.model(),
            origin.headers(),
            origin.requestId()));
  }

  /** A worker that can tell the holder, which those that need a go-between cannot. */
  private Optional<Worker> releasingWorker(HandOff blocks) {
    Worker decoding = places.decodeWorker();
    Optional<Worker> worker =
        decoding != null && !decoding.refusedSince(blocks.sinceNanos())
            ? Optional.of(decoding)
            : chooser.idlestDecode(blame);
    return worker
        .filter(each -> chooser.edges().between(blocks.holder(), each).way() == Way.ENGINE)
        .or(() -> lane.house.watch().twin(blocks.holder()));
  }
}
