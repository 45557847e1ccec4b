package dev.millrace.transfer.agent;

import dev.millrace.layout.BlockTable;
import dev.millrace.layout.CacheGroup;
import dev.millrace.layout.Geometry;
import dev.millrace.layout.TokenSpan;
import dev.millrace.layout.TransferPlanner;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.Executor;

/**
 * A relay: meet both engines, take memory of the virtual engine that is laid out as the decode
 * engine, carry the blocks there, release the prefill engine's, and keep the copy for its reader.
 */
final class Relaying {
  private final RelayOrder order;
  private final String copyId;
  private final VirtualEngines virtual;
  private final AgentTransport transport;
  private final Executor copiers;

  Relaying(
      RelayOrder order,
      String copyId,
      VirtualEngines virtual,
      AgentTransport transport,
      Executor copiers) {
    this.order = order;
    this.copyId = copyId;
    this.virtual = virtual;
    this.transport = transport;
    this.copiers = copiers;
  }

  ReadEvent.Done run(OpenCall call) {
    return order.copyId().map(copy -> again(call, copy)).orElseGet(() -> anew(call));
  }

  /** One more reader of a copy that is there. The prefill engine may be gone. */
  private ReadEvent.Done again(OpenCall call, String copy) {
    OpenCall.Surroundings around = call.around();
    KnownEngine decode = around.engines().meet(order.reader(), call.deadline());
    Duration met = call.deadline().elapsed();
    VirtualEngines.Serving serving = virtual.serving(decode);
    String readerId = readerId();
    HeldCopy held =
        around
            .copies()
            .send(
                copy,
                order.handOff(),
                readerId,
                order.readers(),
                each -> each.memory().equals(serving.slab().memory()))
            .orElseThrow(() ->
                new AgentRefusal(
                    Reason.GONE,
                    "copy %s is not held any more, or not laid out as engine %s"
                        .formatted(copy, decode.engine().engineId())));
    Duration total = call.deadline().elapsed();
    Carriage carriage =
        carriage(
            serving,
            readerId,
            held.tables(),
            Carriage.Way.RELAYED_AGAIN,
            0,
            new Carriage.Steps(
                met, total.minus(met), Duration.ZERO, Duration.ZERO, Duration.ZERO, total));
    return done(call, copy, carriage);
  }

  private ReadEvent.Done anew(OpenCall call) {
    OpenCall.Surroundings around = call.around();
    HandOff handOff = order.handOff();
    Pair pair = Pair.meet(around.engines(), handOff, order.reader(), call.deadline());
    Duration met = call.deadline().elapsed();
    call.say(new ReadEvent.Handshaken(pair.words(), met));
    call.checkCancelled();

    VirtualEngines.Serving serving = virtual.serving(pair.decode());
    Geometry source = pair.prefill().geometry();
    Geometry target = serving.slab().geometry();
    List<CacheGroup> groups = source.model().groups();
    List<BlockTable> from = Tables.source(handOff, source);
    List<Tables.Need> needs =
        Tables.handedOut(groups, target.tokensPerId(), handOff.tokens(), from);
    Memory.Blocks blocks = call.own(around.memory().take(serving.slab(), Tables.count(needs)));
    List<BlockTable> to = Tables.target(needs, blocks.ids());
    if (groups.size() > 1) {
      // Not every block is filled: of windows a reader may ask for more than was kept.
      blocks.slab().zero(blocks.ids());
    }
    Plans plans = new Plans(new TransferPlanner(source, target), from, to);
    TokenSpan whole = new TokenSpan(0, handOff.tokens());
    Carrying carrying = new Carrying(call, pair.prefill(), plans, blocks, copiers);
    boolean staged = carrying.isOfShortRuns(whole, transport.shortRunBytes());
    Duration prepared = call.deadline().elapsed();
    if (staged) {
      carrying.staged(whole, copyId);
    } else {
      carrying.directly(whole, copyId);
    }
    Duration carried = call.deadline().elapsed();
    pair.prefill().release(handOff.requestId(), call.deadline(), around.options().shortCall());
    call.checkCancelled();
    Duration total = call.deadline().elapsed();

    String readerId = readerId();
    Readership readers =
        new Readership(target.parallelism().tensor(), Math.max(1, order.readers()));
    readers.send(readerId);
    Copies copies = around.copies();
    copies.serve(
        new HeldCopy(copyId, handOff, 0, target, to, blocks.slab().memory(), copies.expiry()),
        blocks,
        readers);
    call.pass(blocks);
    Carriage carriage =
        carriage(
            serving,
            readerId,
            to,
            staged ? Carriage.Way.RELAYED_STAGED : Carriage.Way.RELAYED,
            blocks.bytes(),
            new Carriage.Steps(
                met,
                prepared.minus(met),
                carried.minus(prepared),
                carrying.laid(),
                total.minus(carried),
                total));
    return done(call, copyId, carriage);
  }

  /** Random, because whoever knows it can end the copy. */
  private static String readerId() {
    return "relay-" + UUID.randomUUID();
  }

  private Carriage carriage(
      VirtualEngines.Serving serving,
      String readerId,
      List<BlockTable> tables,
      Carriage.Way way,
      long heldBytes,
      Carriage.Steps steps) {
    HandOff told =
        new HandOff(
            virtual.reached(serving.engine(), serving.slab().geometry()),
            readerId,
            Tables.ids(tables),
            order.handOff().tokens());
    return new Carriage(told, way, heldBytes, steps);
  }

  private static ReadEvent.Done done(OpenCall call, String copy, Carriage carriage) {
    return new ReadEvent.Done(
        copy,
        call.arrivedBytes(),
        call.runs(),
        call.deadline().elapsed(),
        call.around().options().hold(),
        Optional.of(carriage));
  }
}
