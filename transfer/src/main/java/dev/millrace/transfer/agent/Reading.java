package dev.millrace.transfer.agent;

import dev.millrace.layout.BlockTable;
import dev.millrace.layout.Geometry;
import dev.millrace.layout.IncompatibleGeometry;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.Rank;
import dev.millrace.layout.Rounding;
import dev.millrace.layout.SourceRead;
import dev.millrace.layout.TokenSpan;
import dev.millrace.layout.TransferPlan;
import dev.millrace.layout.TransferPlanner;
import dev.millrace.transfer.ReadOutcome;
import dev.millrace.transfer.TransferException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One read, on a virtual thread of its own: meet the engine, set memory aside, read part by part
 * with a few parts in flight, zero what lies behind the last token, keep the copy.
 *
 * <p>However it ends, each of its blocks is then held by a copy, free, or in quarantine.
 */
final class Reading {
  private static final Logger LOG = LoggerFactory.getLogger(Reading.class);

  /** One is being read while the next is already asked for. */
  private static final int PARTS_AT_ONCE = 2;

  /** What a reading needs of its agent. */
  record Surroundings(AgentOptions options, Engines engines, Memory memory, Copies copies) {}

  /** A part under way, and the blocks that it writes. */
  private record InFlight(CompletableFuture<ReadOutcome> outcome, Set<Integer> blocks) {}

  private final Surroundings around;
  private final ReadOrder order;
  private final String copyId;
  private final Deadline deadline;
  private final Consumer<ReadEvent> events;
  private final CompletableFuture<Void> cancelled = new CompletableFuture<>();
  private final Deque<InFlight> inFlight = new ArrayDeque<>();
  private long arrivedBytes;
  private long runs;
  private Memory.@Nullable Blocks taken;

  Reading(
      Surroundings around,
      ReadOrder order,
      String copyId,
      Deadline deadline,
      Consumer<ReadEvent> events) {
    this.around = around;
    this.order = order;
    this.copyId = copyId;
    this.deadline = deadline;
    this.events = events;
  }

  /** Gives the read up. From any thread. */
  void cancel(Reason reason) {
    cancelled.completeExceptionally(
        new AgentRefusal(
            reason,
            reason == Reason.CLOSED ? "the agent is ending" : "the caller gave the read up"));
  }

  /** Reads; the last event has been said when it returns. */
  void run() {
    ReadEvent last;
    try {
      last = read();
    } catch (AgentRefusal e) {
      last = failed(e.reason(), e.text());
    } catch (TransferException e) {
      last = failed(Reason.PEER_LOST, String.valueOf(e.getMessage()));
    } catch (RuntimeException e) {
      LOG.error("reading {} failed", order.handOff().requestId(), e);
      last = failed(Reason.CORRUPT, "this is a fault of the agent: " + e);
    }
    events.accept(last);
  }

  private ReadEvent.Failed failed(Reason reason, String message) {
    return new ReadEvent.Failed(reason, message, arrivedBytes, giveUp());
  }

  private ReadEvent.Done read() {
    KnownEngine engine = around.engines().meet(order.handOff().engine(), deadline);
    Geometry source = engine.geometry();
    events.accept(new ReadEvent.Handshaken(Words.of(source), deadline.elapsed()));
    checkCancelled();

    ModelShape model = source.model();
    TargetShape target = order.target().apply(source);
    TokenSpan span = new TokenSpan(order.fromToken(), order.handOff().tokens());
    List<BlockTable> from = Tables.source(order.handOff(), source);
    Slab.Kind kind = kind(model, target);
    int tokensPerId = kind.spec(1).geometry().tokensPerId();
    List<Tables.Need> needs = Tables.needs(model.groups(), tokensPerId, span, from);
    Memory.Blocks blocks = around.memory().take(kind, Tables.count(needs));
    taken = blocks;
    List<BlockTable> to = Tables.target(needs, blocks.ids());
    if (model.groups().size() > 1 || span.from() % tokensPerId != 0) {
      // The read does not fill these blocks to their start.
      blocks.slab().zero(blocks.ids());
    }

    Geometry own = blocks.slab().geometry();
    TransferPlanner planner = new TransferPlanner(source, own);
    List<TokenSpan> parts = Parts.of(span, source, own, Parts.PART_BYTES);
    List<TransferPlan> lastPlans = List.of();
    boolean posted = false;
    for (TokenSpan part : parts) {
      List<TransferPlan> plans = plans(planner, own, from, to, part);
      if (!posted) {
        posted = true;
        events.accept(
            new ReadEvent.Posted(
                copyId, expectedBytes(plans, part, span), sources(plans), parts.size()));
      }
      if (inFlight.size() >= PARTS_AT_ONCE) {
        awaitOldest(engine);
      }
      post(engine, plans, blocksOf(to, part, tokensPerId));
      lastPlans = plans;
    }
    while (!inFlight.isEmpty()) {
      awaitOldest(engine);
    }
    lastPlans.forEach(blocks.slab()::zeroTail);
    if (order.afterRead() == ReadOrder.AfterRead.RELEASE) {
      engine.release(order.handOff().requestId(), deadline, around.options().shortCall());
    }
    return keep(blocks, own, to);
  }

  private ReadEvent.Done keep(Memory.Blocks blocks, Geometry own, List<BlockTable> tables) {
    checkCancelled();
    around
        .copies()
        .add(
            new HeldCopy(
                copyId,
                order.handOff(),
                order.fromToken(),
                own,
                tables,
                blocks.slab().memory(),
                around.copies().expiry()),
            blocks);
    taken = null;
    return new ReadEvent.Done(
        copyId, arrivedBytes, runs, deadline.elapsed(), around.options().hold());
  }

  private static Slab.Kind kind(ModelShape model, TargetShape target) {
    try {
      Slab.Kind kind = Slab.Kind.of(model, target);
      // Building it once finds what does not go together.
      kind.spec(1).geometry();
      return kind;
    } catch (IncompatibleGeometry | IllegalArgumentException e) {
      throw new AgentRefusal(Reason.INVALID, "the target: " + e.getMessage());
    }
  }

  private List<TransferPlan> plans(
      TransferPlanner planner,
      Geometry own,
      List<BlockTable> from,
      List<BlockTable> to,
      TokenSpan part) {
    try {
      List<TransferPlan> plans = new ArrayList<>();
      for (Rank rank : own.ranks()) {
        plans.add(planner.plan(rank, from, to, part, Rounding.WHOLE_BLOCKS));
      }
      return plans;
    } catch (IllegalArgumentException e) {
      throw new AgentRefusal(Reason.INVALID, "the hand-off: " + e.getMessage());
    } catch (IncompatibleGeometry e) {
      throw new AgentRefusal(Reason.MISMATCH, String.valueOf(e.getMessage()));
    }
  }

  /** The first part's size, scaled to the whole; exact where there is one part. */
  private static long expectedBytes(List<TransferPlan> plans, TokenSpan part, TokenSpan whole) {
    long bytes = plans.stream().mapToLong(plan -> plan.size().bytesMoved()).sum();
    return part.tokens() == 0 ? bytes : bytes * whole.tokens() / part.tokens();
  }

  private static int sources(List<TransferPlan> plans) {
    return (int)
        plans.stream()
            .flatMap(plan -> plan.reads().stream())
            .map(read -> List.of(read.source().pipeline(), read.source().tensor()))
            .distinct()
            .count();
  }

  private static Set<Integer> blocksOf(List<BlockTable> tables, TokenSpan part, int tokensPerId) {
    Set<Integer> ids = new HashSet<>();
    for (BlockTable table : tables) {
      for (int i = 0; i < table.length(); i++) {
        long first = (long) (table.firstBlock() + i) * tokensPerId;
        if (tables.size() > 1 || (first < part.to() && first + tokensPerId > part.from())) {
          ids.add(table.id(i));
        }
      }
    }
    return ids;
  }

  private void post(KnownEngine engine, List<TransferPlan> plans, Set<Integer> blocks) {
    deadline.check("the read");
    checkCancelled();
    List<CompletableFuture<ReadOutcome>> reads = new ArrayList<>();
    try {
      for (TransferPlan plan : plans) {
        for (SourceRead read : plan.reads()) {
          reads.add(start(engine, read));
        }
      }
    } finally {
      // Even if one could not be started: those before it write already.
      CompletableFuture<ReadOutcome> all =
          CompletableFuture.allOf(reads.toArray(CompletableFuture<?>[]::new))
              .thenApply(done -> combined(reads));
      inFlight.addLast(new InFlight(all, blocks));
    }
  }

  private CompletableFuture<ReadOutcome> start(KnownEngine engine, SourceRead read) {
    Duration connecting = deadline.left(around.options().shortCall());
    return engine
        .peer(read.source(), connecting)
        .thenCompose(peer ->
            cancelled.isDone()
                ? CompletableFuture.completedFuture(
                    new ReadOutcome.Failed(ReadOutcome.Cause.CLOSED, "the read was given up", 0))
                : peer.read(read, Optional.empty(), deadline.left(around.options().longestRead())))
        .exceptionally(
            failure -> new ReadOutcome.Failed(ReadOutcome.Cause.PEER_LOST, Words.of(failure), 0));
  }

  private static ReadOutcome combined(List<CompletableFuture<ReadOutcome>> reads) {
    long bytes = 0;
    long runs = 0;
    Duration took = Duration.ZERO;
    ReadOutcome.@Nullable Failed first = null;
    for (CompletableFuture<ReadOutcome> read : reads) {
      switch (read.join()) {
        case ReadOutcome.Done done -> {
          bytes += done.bytes();
          runs += done.runs();
          took = took.compareTo(done.took()) < 0 ? done.took() : took;
        }
        case ReadOutcome.Failed failed -> {
          bytes += failed.bytes();
          first = first == null ? failed : first;
        }
      }
    }
    return first == null
        ? new ReadOutcome.Done(bytes, runs, took)
        : new ReadOutcome.Failed(first.cause(), first.reason(), bytes);
  }

  private void awaitOldest(KnownEngine engine) {
    InFlight oldest = inFlight.getFirst();
    Object _ =
        deadline.await(
            CompletableFuture.anyOf(oldest.outcome(), cancelled), Reason.CANCELLED, "the read");
    switch (oldest.outcome().join()) {
      case ReadOutcome.Done done -> {
        inFlight.removeFirst();
        arrivedBytes += done.bytes();
        runs += done.runs();
        events.accept(new ReadEvent.Progress(arrivedBytes));
      }
      case ReadOutcome.Failed failed -> {
        arrivedBytes += failed.bytes();
        Reason reason = reason(failed.cause());
        if (reason == Reason.PEER_LOST || reason == Reason.MISMATCH) {
          around.engines().forget(engine);
        }
        throw new AgentRefusal(reason, failed.reason());
      }
    }
  }

  private static Reason reason(ReadOutcome.Cause cause) {
    return switch (cause) {
      case PEER_LOST -> Reason.PEER_LOST;
      case DEADLINE -> Reason.DEADLINE;
      case OUT_OF_BOUNDS -> Reason.MISMATCH;
      case CORRUPT -> Reason.CORRUPT;
      case CLOSED -> Reason.PEER_LOST;
      case OVERLOADED -> Reason.OVERLOADED;
    };
  }

  private void checkCancelled() {
    if (cancelled.isCompletedExceptionally()
        && cancelled.exceptionNow() instanceof AgentRefusal refusal) {
      throw refusal;
    }
  }

  /** Frees what nothing writes, and leaves the rest in quarantine; says how much that is. */
  private long giveUp() {
    Memory.Blocks blocks = taken;
    taken = null;
    if (blocks == null) {
      return 0;
    }
    Set<Integer> written = new HashSet<>();
    List<CompletableFuture<?>> reads = new ArrayList<>();
    for (InFlight each : inFlight) {
      // Even one that has ended for us: the transport may not be done with it.
      written.addAll(each.blocks());
      reads.add(each.outcome());
    }
    List<Integer> quiet = blocks.ids().stream().filter(id -> !written.contains(id)).toList();
    around.memory().free(new Memory.Blocks(blocks.slab(), quiet));
    List<Integer> unquiet = blocks.ids().stream().filter(written::contains).toList();
    return unquiet.isEmpty()
        ? 0
        : around
            .memory()
            .quarantine(
                new Memory.Blocks(blocks.slab(), unquiet),
                CompletableFuture.allOf(reads.toArray(CompletableFuture<?>[]::new)));
  }
}
