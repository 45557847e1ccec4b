package dev.millrace.transfer.agent;

import dev.millrace.layout.BlockTable;
import dev.millrace.layout.Geometry;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.Rounding;
import dev.millrace.layout.TokenSpan;
import dev.millrace.layout.TransferPlan;
import dev.millrace.layout.TransferPlanner;
import java.util.List;
import java.util.Optional;

/**
 * A read: meet the engine, set memory aside, read part by part, zero what lies behind the last
 * token, keep the copy.
 */
final class Reading {
  private final ReadOrder order;
  private final String copyId;

  Reading(ReadOrder order, String copyId) {
    this.order = order;
    this.copyId = copyId;
  }

  ReadEvent.Done run(OpenCall call) {
    OpenCall.Surroundings around = call.around();
    KnownEngine engine = around.engines().meet(order.handOff().engine(), call.deadline());
    Geometry source = engine.geometry();
    call.say(new ReadEvent.Handshaken(Words.of(source), call.deadline().elapsed()));
    call.checkCancelled();

    ModelShape model = source.model();
    TokenSpan span = new TokenSpan(order.fromToken(), order.handOff().tokens());
    Slab.Kind kind = Slab.Kind.asWanted(model, order.target().apply(source));
    int tokensPerId = kind.spec(1).geometry().tokensPerId();
    List<BlockTable> from = Tables.source(order.handOff(), source);
    List<Tables.Need> needs = Tables.needs(model.groups(), tokensPerId, span, from);
    Memory.Blocks blocks = call.own(around.memory().take(kind, Tables.count(needs)));
    List<BlockTable> to = Tables.target(needs, blocks.ids());
    if (model.groups().size() > 1 || span.from() % tokensPerId != 0) {
      // The read does not fill these blocks to their start.
      blocks.slab().zero(blocks.ids());
    }

    Plans plans = new Plans(new TransferPlanner(source, blocks.slab().geometry()), from, to);
    List<TokenSpan> parts = Parts.of(span, plans.source(), plans.target(), Parts.PART_BYTES);
    List<TransferPlan> last = List.of();
    for (TokenSpan part : parts) {
      List<TransferPlan> planned = plans.of(part, Rounding.WHOLE_BLOCKS);
      if (last.isEmpty()) {
        call.say(
            new ReadEvent.Posted(
                copyId,
                Plans.expectedBytes(planned, part, span),
                Plans.sources(planned),
                parts.size()));
      }
      call.post(engine, planned, blocks.only(Plans.blocksOf(to, part, tokensPerId)), () -> {});
      last = planned;
    }
    call.awaitAll(engine);
    last.forEach(blocks.slab()::zeroTail);
    if (order.afterRead() == ReadOrder.AfterRead.RELEASE) {
      engine.release(order.handOff().requestId(), call.deadline(), around.options().shortCall());
    }
    call.checkCancelled();
    keep(call, blocks, to);
    return new ReadEvent.Done(
        copyId,
        call.arrivedBytes(),
        call.runs(),
        call.deadline().elapsed(),
        around.options().hold(),
        Optional.empty());
  }

  private void keep(OpenCall call, Memory.Blocks blocks, List<BlockTable> tables) {
    Copies copies = call.around().copies();
    copies.add(
        new HeldCopy(
            copyId,
            order.handOff(),
            order.fromToken(),
            blocks.slab().geometry(),
            tables,
            blocks.slab().memory(),
            copies.expiry()),
        blocks);
    call.pass(blocks);
  }
}
