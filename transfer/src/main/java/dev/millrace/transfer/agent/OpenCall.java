package dev.millrace.transfer.agent;

import dev.millrace.layout.SourceRead;
import dev.millrace.layout.TransferPlan;
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
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A call that moves blocks, on a virtual thread of its own: its deadline, its cancellation, the
 * memory that it has taken and the reads that write it.
 *
 * <p>However the call ends, each block that it has taken is then kept by a copy, free, or in
 * quarantine.
 */
final class OpenCall {
  private static final Logger LOG = LoggerFactory.getLogger(OpenCall.class);

  /** One part is being read while the next is already asked for. */
  static final int PARTS_AT_ONCE = 2;

  /** What a call needs of its agent. */
  record Surroundings(AgentOptions options, Engines engines, Memory memory, Copies copies) {}

  /** A part under way, the blocks that it writes, and what to do when they are there. */
  private record InFlight(
      CompletableFuture<ReadOutcome> outcome, Memory.Blocks written, Runnable arrived) {}

  private final Surroundings around;
  private final String requestId;
  private final Deadline deadline;
  private final Consumer<ReadEvent> events;
  private final CompletableFuture<Void> cancelled = new CompletableFuture<>();
  private final Deque<InFlight> inFlight = new ArrayDeque<>();
  private final List<Memory.Blocks> taken = new ArrayList<>();
  private long arrivedBytes;
  private long runs;

  /**
   * A call.
   *
   * @param requestId of the hand-off, for messages
   */
  OpenCall(Surroundings around, String requestId, Deadline deadline, Consumer<ReadEvent> events) {
    this.around = around;
    this.requestId = requestId;
    this.deadline = deadline;
    this.events = events;
  }

  /** Gives the call up. From any thread. */
  void cancel(Reason reason) {
    cancelled.completeExceptionally(
        new AgentRefusal(
            reason,
            reason == Reason.CLOSED ? "the agent is ending" : "the caller gave the call up"));
  }

  /** Does what is asked; the last event has been said when it returns. */
  void run(Function<OpenCall, ReadEvent.Done> what) {
    ReadEvent last;
    try {
      last = what.apply(this);
    } catch (AgentRefusal e) {
      last = failed(e.reason(), e.text());
    } catch (TransferException e) {
      last = failed(Reason.PEER_LOST, String.valueOf(e.getMessage()));
    } catch (OutOfMemoryError e) {
      // Of this call, which lets go of what it has; others go on.
      LOG.error("no memory is left to move the blocks of {}", requestId, e);
      last = failed(Reason.MEMORY_FULL, "the agent has no memory left: " + e.getMessage());
    } catch (RuntimeException e) {
      LOG.error("moving the blocks of {} failed", requestId, e);
      last = failed(Reason.CORRUPT, "this is a fault of the agent: " + e);
    }
    events.accept(last);
  }

  private ReadEvent.Failed failed(Reason reason, String message) {
    return new ReadEvent.Failed(reason, message, arrivedBytes, giveUp());
  }

  Surroundings around() {
    return around;
  }

  Deadline deadline() {
    return deadline;
  }

  long arrivedBytes() {
    return arrivedBytes;
  }

  /** Stretches of contiguous bytes that were read. */
  long runs() {
    return runs;
  }

  void say(ReadEvent event) {
    events.accept(event);
  }

  void checkCancelled() {
    if (cancelled.isCompletedExceptionally()
        && cancelled.exceptionNow() instanceof AgentRefusal refusal) {
      throw refusal;
    }
  }

  /** From now on these are this call's; returns them. */
  Memory.Blocks own(Memory.Blocks blocks) {
    taken.add(blocks);
    return blocks;
  }

  /** Somebody else's from now on; whoever takes them may not fail any more. */
  void pass(Memory.Blocks blocks) {
    taken.remove(blocks);
  }

  /** Gives blocks back that nothing writes any more. */
  void free(Memory.Blocks blocks) {
    taken.remove(blocks);
    around.memory().free(blocks);
  }

  /**
   * Starts to read a part, once no more than {@link #PARTS_AT_ONCE} are under way.
   *
   * @param written the blocks that it writes
   * @param arrived runs on this call's thread when all of them are there, parts in order
   */
  void post(KnownEngine engine, List<TransferPlan> plans, Memory.Blocks written, Runnable arrived) {
    while (inFlight.size() >= PARTS_AT_ONCE) {
      awaitOldest(engine);
    }
    deadline.check("the transfer");
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
      inFlight.addLast(new InFlight(all, written, arrived));
    }
  }

  /** Waits for all parts. */
  void awaitAll(KnownEngine engine) {
    while (!inFlight.isEmpty()) {
      awaitOldest(engine);
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
            CompletableFuture.anyOf(oldest.outcome(), cancelled), Reason.CANCELLED, "the transfer");
    switch (oldest.outcome().join()) {
      case ReadOutcome.Done done -> {
        inFlight.removeFirst();
        arrivedBytes += done.bytes();
        runs += done.runs();
        events.accept(new ReadEvent.Progress(arrivedBytes));
        oldest.arrived().run();
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
      case PEER_LOST, CLOSED -> Reason.PEER_LOST;
      case DEADLINE -> Reason.DEADLINE;
      case OUT_OF_BOUNDS -> Reason.MISMATCH;
      case CORRUPT -> Reason.CORRUPT;
      case OVERLOADED -> Reason.OVERLOADED;
    };
  }

  /** Frees what nothing writes, and leaves the rest in quarantine; says how much that is. */
  private long giveUp() {
    long quarantined = 0;
    for (Memory.Blocks blocks : List.copyOf(taken)) {
      Set<Integer> written = new HashSet<>();
      List<CompletableFuture<?>> reads = new ArrayList<>();
      for (InFlight each : inFlight) {
        if (each.written().slab() == blocks.slab()) {
          // Even one that has ended for us: the transport may not be done with it.
          written.addAll(each.written().ids());
          reads.add(each.outcome());
        }
      }
      List<Integer> quiet = blocks.ids().stream().filter(id -> !written.contains(id)).toList();
      free(blocks, quiet);
      List<Integer> unquiet = blocks.ids().stream().filter(written::contains).toList();
      if (!unquiet.isEmpty()) {
        quarantined +=
            around
                .memory()
                .quarantine(
                    new Memory.Blocks(blocks.slab(), unquiet),
                    CompletableFuture.allOf(reads.toArray(CompletableFuture<?>[]::new)));
      }
    }
    taken.clear();
    return quarantined;
  }

  private void free(Memory.Blocks blocks, List<Integer> ids) {
    around.memory().free(new Memory.Blocks(blocks.slab(), ids));
  }
}
