package dev.millrace.transfer.agent;

import dev.millrace.layout.BlockTable;
import dev.millrace.layout.CacheGroup;
import dev.millrace.layout.Geometry;
import dev.millrace.layout.NestCursor;
import dev.millrace.layout.Parallelism;
import dev.millrace.layout.Rounding;
import dev.millrace.layout.RunCursor;
import dev.millrace.layout.TokenSpan;
import dev.millrace.layout.TransferPlan;
import dev.millrace.layout.TransferPlanner;
import dev.millrace.transfer.permute.NestCopy;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;

/**
 * Brings a sequence's blocks from a prefill engine into memory of another geometry, part by part,
 * the next one being read while one is dealt with.
 *
 * <p>There are two ways. <em>Directly</em>: every run is read to its place. <em>Staged</em>: whole
 * blocks are read as the prefill engine has them, and permuted on arrival. A read costs something
 * per run, a permutation costs a pass over the bytes; so short runs are staged.
 */
final class Carrying {
  /**
   * What is permuted at a time: few enough that the first part is there soon and what has arrived
   * is still in a processor's cache, enough that a part's overhead is little (the benchmark of
   * relays).
   */
  private static final long STAGED_PART_BYTES = 16L << 20;

  /** Runs that are looked at to tell how long they are. */
  private static final int SAMPLED_RUNS = 256;

  private final OpenCall call;
  private final KnownEngine engine;
  private final Plans plans;
  private final Memory.Blocks blocks;
  private final Executor copiers;
  private Duration laid = Duration.ZERO;

  /**
   * From the source of the plans to their target.
   *
   * @param blocks the target's
   * @param copiers for passes over bytes, which would keep a virtual thread's carrier busy
   */
  Carrying(OpenCall call, KnownEngine engine, Plans plans, Memory.Blocks blocks, Executor copiers) {
    this.call = call;
    this.engine = engine;
    this.plans = plans;
    this.blocks = blocks;
    this.copiers = copiers;
  }

  /** Time that permuting and zeroing took. */
  Duration laid() {
    return laid;
  }

  private List<TokenSpan> parts(TokenSpan whole, long partBytes) {
    return Parts.of(whole, plans.source(), plans.target(), partBytes);
  }

  /** Whether runs are shorter than {@code bytes} on average. */
  boolean isOfShortRuns(TokenSpan whole, long bytes) {
    TokenSpan first = parts(whole, STAGED_PART_BYTES).getFirst();
    long sum = 0;
    int runs = 0;
    for (TransferPlan plan : plans.of(first, Rounding.WHOLE_BLOCKS)) {
      for (var read : plan.reads()) {
        for (RunCursor run = read.cursor(); runs < SAMPLED_RUNS && run.next(); runs++) {
          sum += run.bytes();
        }
      }
    }
    return runs > 0 && sum / runs < bytes;
  }

  void directly(TokenSpan whole, String copyId) {
    List<TokenSpan> parts = parts(whole, Parts.PART_BYTES);
    List<TransferPlan> last = List.of();
    for (TokenSpan part : parts) {
      List<TransferPlan> planned = plans.of(part, Rounding.WHOLE_BLOCKS);
      if (last.isEmpty()) {
        posted(copyId, planned, part, whole, parts.size());
      }
      Memory.Blocks written =
          blocks.only(Plans.blocksOf(plans.to(), part, plans.target().tokensPerId()));
      call.post(engine, planned, written, () -> {});
      last = planned;
    }
    call.awaitAll(engine);
    List<TransferPlan> ended = last;
    lay(() -> ended.forEach(blocks.slab()::zeroTail));
  }

  void staged(TokenSpan whole, String copyId) {
    Geometry source = plans.source();
    // Stages are joined on arrival; ranks stay apart, as their blocks are contiguous so.
    Slab.Kind kind =
        new Slab.Kind(
            source.model(),
            Parallelism.tensor(source.parallelism().tensor()),
            source.blockSize(),
            source.layout(),
            source.blocksPerId());
    List<TokenSpan> parts = parts(whole, STAGED_PART_BYTES);
    int ids = parts.stream().mapToInt(this::stagedIds).max().orElseThrow();
    List<Memory.Blocks> rooms = new ArrayList<>();
    int most = Math.min(parts.size(), OpenCall.PARTS_AT_ONCE);
    for (int i = 0; i < most; i++) {
      rooms.add(call.own(call.around().memory().take(kind, ids)));
    }
    boolean first = true;
    for (int i = 0; i < parts.size(); i++) {
      TokenSpan part = parts.get(i);
      // Its last part has been permuted when this one is posted: no more are under way.
      Memory.Blocks room = rooms.get(i % most);
      List<BlockTable> tables = stagedTables(part, room.ids());
      Geometry stage = room.slab().geometry();
      Plans in = new Plans(new TransferPlanner(source, stage), plans.from(), tables);
      Plans out = new Plans(new TransferPlanner(stage, plans.target()), tables, plans.to());
      List<TransferPlan> planned = in.of(part, Rounding.WHOLE_BLOCKS);
      if (first) {
        first = false;
        posted(copyId, planned, part, whole, parts.size());
      }
      call.post(engine, planned, room, () -> lay(() -> permute(out, part, room.slab())));
    }
    call.awaitAll(engine);
    rooms.forEach(call::free);
  }

  private void posted(
      String copyId, List<TransferPlan> planned, TokenSpan part, TokenSpan whole, int parts) {
    call.say(
        new ReadEvent.Posted(
            copyId, Plans.expectedBytes(planned, part, whole), Plans.sources(planned), parts));
  }

  private int stagedIds(TokenSpan part) {
    return stagedTables(part, List.of()).stream().mapToInt(BlockTable::length).sum();
  }

  /**
   * Tables of a part in the prefill engine's geometry. With several groups there is one part, and
   * the tables are as the engine's own.
   *
   * @param ids to use; none: only the lengths are right
   */
  private List<BlockTable> stagedTables(TokenSpan part, List<Integer> ids) {
    int tokensPerId = plans.source().tokensPerId();
    List<CacheGroup> groups = plans.source().model().groups();
    List<BlockTable> tables = new ArrayList<>();
    int used = 0;
    for (int group = 0; group < groups.size(); group++) {
      BlockTable own = plans.from().get(group);
      boolean alone = groups.size() == 1 && groups.get(group) instanceof CacheGroup.Full;
      int first = alone ? part.from() / tokensPerId : own.firstBlock();
      int count = alone ? Math.ceilDiv(part.to(), tokensPerId) - first : own.length();
      int[] taken = new int[count];
      for (int i = 0; i < count && !ids.isEmpty(); i++) {
        taken[i] = ids.get(used + i);
      }
      used += count;
      tables.add(BlockTable.startingAt(first, taken));
    }
    return tables;
  }

  private void permute(Plans out, TokenSpan part, Slab stage) {
    List<TransferPlan> planned = out.of(part, Rounding.WHOLE_BLOCKS);
    List<NestCursor> walks = new ArrayList<>();
    planned.forEach(plan -> plan.reads().forEach(read -> walks.add(read.nests())));
    long _ = new NestCopy(stage.memory(), blocks.slab().memory()).copy(walks);
    planned.forEach(blocks.slab()::zeroTail);
  }

  /** A pass over bytes. It is always waited for: nobody may use its memory before it ends. */
  private void lay(Runnable pass) {
    Duration before = call.deadline().elapsed();
    CompletableFuture.runAsync(pass, copiers).join();
    laid = laid.plus(call.deadline().elapsed().minus(before));
  }
}
