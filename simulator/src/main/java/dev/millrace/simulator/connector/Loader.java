package dev.millrace.simulator.connector;

import dev.millrace.layout.BlockTable;
import dev.millrace.layout.Rank;
import dev.millrace.layout.Rounding;
import dev.millrace.layout.SourceRead;
import dev.millrace.layout.TokenSpan;
import dev.millrace.layout.TransferPlan;
import dev.millrace.simulator.Misbehaviour;
import dev.millrace.simulator.cache.CacheShape;
import dev.millrace.simulator.cache.Sequence;
import dev.millrace.simulator.core.TransferHistograms;
import dev.millrace.simulator.core.TransferParams.RemotePrefill;
import dev.millrace.transfer.ReadOutcome;
import io.vertx.core.Context;
import io.vertx.core.Future;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Brings the blocks of one sequence over: plans for each of our ranks, reads from each prefill
 * rank, zeroes what lies behind the prompt. Planning and zeroing run on a worker.
 */
final class Loader {
  private static final Duration DEADLINE = Duration.ofSeconds(30);

  /** How often memory is looked at that a read that was given up may still write. */
  private static final Duration BETWEEN_LOOKS = Duration.ofMillis(20);

  private final List<Rank> ownRanks;
  private final CacheShape shape;
  private final RankTransports transports;
  private final Context context;
  private final TransferHistograms histograms;
  private final AtomicInteger openReads = new AtomicInteger();

  /** One read from one prefill rank into one of our ranks. */
  private record Reading(int ownRank, SourceRead read) {}

  /** All reads of a sequence, and the token at which they end. */
  private record Readings(List<Reading> all, int end) {}

  Loader(
      List<Rank> ownRanks,
      CacheShape shape,
      RankTransports transports,
      Context context,
      TransferHistograms histograms) {
    this.ownRanks = List.copyOf(ownRanks);
    this.shape = shape;
    this.transports = transports;
    this.context = context;
    this.histograms = histograms;
  }

  /** Reads under way. */
  int openReads() {
    return openReads.get();
  }

  /**
   * Loads tokens {@code [from, to)}.
   *
   * @return fails with the reason if not everything arrived, {@link IllegalArgumentException} if
   *     the block ids are wrong
   */
  Future<Void> load(
      RemoteEngine engine,
      RemotePrefill remote,
      Sequence sequence,
      int from,
      int to,
      List<Misbehaviour> misbehaviours) {
    return context
        .executeBlocking(() -> plan(engine, remote, sequence, from, to, misbehaviours), false)
        .map(Objects::requireNonNull)
        .compose(readings -> {
          List<Future<Void>> reads = new ArrayList<>();
          for (Reading reading : readings.all()) {
            reads.add(read(engine, reading));
          }
          // join, not all: nothing may be written any more when this is over.
          return Future.join(reads)
              .map(readings.end())
              .recover(failure -> quiet(sequence).compose(quiet -> Future.failedFuture(failure)));
        })
        .compose(end ->
            context.executeBlocking(
                () -> {
                  settle(sequence, from, to, end, misbehaviours);
                  return end;
                },
                false))
        .mapEmpty();
  }

  /**
   * Completes when no read that was given up writes to the sequence's blocks any more, or all ends.
   */
  private Future<Void> quiet(Sequence sequence) {
    if (transports.isClosed()) {
      return Future.succeededFuture();
    }
    for (Rank rank : ownRanks) {
      if (sequence.mayBeWritten(rank.tensor(), transports.of(rank.tensor()).abandoned())) {
        return context
            .owner()
            .timer(BETWEEN_LOOKS.toMillis(), TimeUnit.MILLISECONDS)
            .compose(passed -> quiet(sequence));
      }
    }
    return Future.succeededFuture();
  }

  private Readings plan(
      RemoteEngine engine,
      RemotePrefill remote,
      Sequence sequence,
      int from,
      int to,
      List<Misbehaviour> misbehaviours) {
    List<List<Integer>> ids = new ArrayList<>(remote.blockIds());
    int end = to;
    for (Misbehaviour misbehaviour : misbehaviours) {
      if (misbehaviour instanceof Misbehaviour.SwapBlocks) {
        int first = from / engine.shape().idTokens();
        ids.replaceAll(group -> swapped(group, first));
      } else if (misbehaviour instanceof Misbehaviour.DropLastBlock && !shape.hasWindows()) {
        end = Math.max(from, (to - 1) / shape.idTokens() * shape.idTokens());
      }
    }
    List<BlockTable> source = engine.shape().handedOut(ids, to);
    List<BlockTable> target = sequence.tablesBetween(from, end);
    List<Reading> readings = new ArrayList<>();
    if (from < end) {
      for (Rank rank : ownRanks) {
        TransferPlan plan =
            engine
                .planner()
                .plan(rank, source, target, new TokenSpan(from, end), Rounding.WHOLE_BLOCKS);
        for (SourceRead read : plan.reads()) {
          readings.add(new Reading(rank.tensor(), read));
        }
      }
    }
    return new Readings(readings, end);
  }

  private static List<Integer> swapped(List<Integer> ids, int first) {
    List<Integer> swapped = new ArrayList<>(ids);
    int at = Math.min(first, ids.size() - 2);
    if (at >= 0) {
      Collections.swap(swapped, at, at + 1);
    }
    return swapped;
  }

  /** A read, and how long it took to hand it to the transport. */
  private record Ended(double postingSeconds, ReadOutcome outcome) {}

  private Future<Void> read(RemoteEngine engine, Reading reading) {
    openReads.incrementAndGet();
    return engine
        .peer(reading.ownRank(), reading.read().source().tensor())
        .compose(peer -> {
          long before = System.nanoTime();
          CompletionStage<ReadOutcome> posted =
              peer.read(reading.read(), Optional.empty(), DEADLINE);
          double postingSeconds = (System.nanoTime() - before) / 1e9;
          return Future.fromCompletionStage(posted, context)
              .map(outcome -> new Ended(postingSeconds, outcome));
        })
        .compose(ended ->
            switch (ended.outcome()) {
              case ReadOutcome.Done done -> {
                histograms.transferred(
                    ended.postingSeconds(), done.took().toNanos() / 1e9, done.bytes(), done.runs());
                yield Future.<Void>succeededFuture();
              }
              case ReadOutcome.Failed failed -> failed(engine, reading, failed);
            })
        .onComplete(done -> openReads.decrementAndGet());
  }

  private static Future<Void> failed(
      RemoteEngine engine, Reading reading, ReadOutcome.Failed failed) {
    String reason = failed.cause() + ": " + failed.reason();
    return switch (failed.cause()) {
      case OUT_OF_BOUNDS -> Future.failedFuture(new IllegalArgumentException(failed.reason()));
      case PEER_LOST -> {
        engine.lost(reading.ownRank(), reading.read().source().tensor());
        yield Future.failedFuture(reason);
      }
      case DEADLINE, CORRUPT, CLOSED, OVERLOADED -> Future.failedFuture(reason);
    };
  }

  private void settle(
      Sequence sequence, int from, int to, int end, List<Misbehaviour> misbehaviours) {
    sequence.zeroFrom(end);
    if (from == to) {
      return;
    }
    for (Misbehaviour misbehaviour : misbehaviours) {
      if (misbehaviour instanceof Misbehaviour.CorruptByte) {
        sequence.corrupt(from);
      } else if (misbehaviour instanceof Misbehaviour.ShiftByOneToken) {
        sequence.shift(from);
      } else if (misbehaviour instanceof Misbehaviour.DropLastBlock && shape.hasWindows()) {
        // A plan for less would not have the window's start.
        sequence.zeroFrom((to - 1) / shape.idTokens() * shape.idTokens());
      }
    }
  }
}
