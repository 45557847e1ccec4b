package dev.millrace.simulator.core;

import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.cache.BlockPool;
import dev.millrace.simulator.cache.CacheShape;
import dev.millrace.simulator.cache.GroupBlocks;
import dev.millrace.simulator.cache.KvMemory;
import dev.millrace.simulator.cache.Sequence;
import dev.millrace.simulator.model.Spoken;
import io.vertx.core.Context;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.Vertx;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * Runs generations as vLLM's core does, without preemption.
 *
 * <p>A generation waits in one queue, first come first served, until there are blocks for all that
 * it can ever say: prompt and limit. (vLLM takes blocks as it goes and preempts when they run out;
 * reserving them up front needs no preemption and keeps answers the same.) Then the part of the
 * prompt that the prefix cache does not have is computed, or loaded from a prefill engine. Then it
 * decodes: a worker thread says a few tokens, the listener takes them, and so on until the limit.
 *
 * <p>All state belongs to one event loop. While a worker or a transport uses a generation's blocks
 * it is {@code busy}; it then ends, and its blocks are given back, only when they are through.
 */
public final class Scheduler implements Generator {
  /** Tokens said between two looks at the listener when no time between tokens is pretended. */
  private static final int BURST = 16;

  private final Vertx vertx;
  private final Context context;
  private final EngineConfig config;
  private final KvMemory memory;
  private final CacheShape shape;
  private final BlockPool pool;
  private final Connector connector;
  private final Counters counters;
  private final Consumer<String> onCoreFailure;
  private final Queue<Generation> waiting = new ConcurrentLinkedQueue<>();
  private final Set<Generation> running = ConcurrentHashMap.newKeySet();
  private boolean scheduling;

  /**
   * A scheduler on the current event loop.
   *
   * @param onCoreFailure hears of what would have killed a real engine's core, after the request
   *     that did it has its answer
   */
  public Scheduler(
      Vertx vertx,
      EngineConfig config,
      KvMemory memory,
      BlockPool pool,
      Connector connector,
      Counters counters,
      Consumer<String> onCoreFailure) {
    this.vertx = vertx;
    this.context = vertx.getOrCreateContext();
    this.config = config;
    this.memory = memory;
    this.shape = new CacheShape(memory.spec());
    this.pool = pool;
    this.connector = connector;
    this.counters = counters;
    this.onCoreFailure = onCoreFailure;
  }

  /** Generations that wait for blocks; may be asked from any thread. */
  public int waiting() {
    return waiting.size();
  }

  /** Generations that have blocks; may be asked from any thread. */
  public int running() {
    return running.size();
  }

  /** Completes when no worker and no transport uses blocks any more. */
  public Future<Void> idle() {
    if (running.stream().noneMatch(generation -> generation.busy)) {
      return Future.succeededFuture();
    }
    return after(Duration.ofMillis(2)).compose(passed -> idle());
  }

  @Override
  public void submit(Generation generation) {
    if (generation.stage != Generation.Stage.NEW) {
      throw new IllegalStateException(generation + " is submitted twice");
    }
    switch (generation.params) {
      case TransferParams.Fatal fatal -> {
        finish(generation, new Ending.CoreFailed(fatal.reason()));
        return;
      }
      case TransferParams.RemotePrefill remote -> connector.expect(remote);
      case TransferParams.RemoteDecode decode -> {}
      case TransferParams.None none -> {}
    }
    if (waiting.size() >= config.maxWaiting()) {
      releaseRemote(generation);
      finish(generation, new Ending.Overloaded());
      return;
    }
    generation.stage = Generation.Stage.WAITING;
    waiting.add(generation);
    schedule();
  }

  @Override
  public void end(Generation generation, Ending ending) {
    switch (generation.stage) {
      case NEW, ENDED -> {}
      case WAITING -> {
        waiting.remove(generation);
        releaseRemote(generation);
        finish(generation, ending);
        schedule();
      }
      case RUNNING -> {
        if (generation.requestedEnding == null) {
          generation.requestedEnding = ending;
        }
        if (!generation.busy) {
          retire(generation, generation.requestedEnding);
        }
      }
    }
  }

  /** Ends all generations that have not ended. */
  public void endAll(Ending ending) {
    for (Generation generation : waiting.toArray(Generation[]::new)) {
      end(generation, ending);
    }
    for (Generation generation : running.toArray(Generation[]::new)) {
      end(generation, ending);
    }
  }

  /** Starts what waits, as far as there are blocks. Called whenever blocks become free. */
  public void schedule() {
    if (scheduling) {
      // A generation that ended at once called back; the loop below sees the blocks it freed.
      return;
    }
    scheduling = true;
    try {
      startWaiting();
    } finally {
      scheduling = false;
    }
  }

  private void startWaiting() {
    while (!waiting.isEmpty() && running.size() < config.maxRunning()) {
      Generation next = waiting.peek();
      if (!acquire(next)) {
        return;
      }
      waiting.remove();
      next.stage = Generation.Stage.RUNNING;
      running.add(next);
      start(next);
    }
  }

  private boolean acquire(Generation generation) {
    int[] tokens = prompt(generation);
    int prompt = tokens.length;
    long[] prefixes = Sequence.prefixes(generation.model, tokens);
    // The last token said needs no vector: nothing is said after it.
    List<BlockPool.Wanted> wanted = shape.wanted(prompt + limit(generation) - 1);
    // The last prompt token is computed even if the cache has it, unless all comes from elsewhere.
    int findable = generation.params instanceof TransferParams.RemotePrefill ? prompt : prompt - 1;
    int maxHits = config.prefixCaching() ? findable / shape.idTokens() : 0;
    long[] ends = Sequence.blockPrefixes(prefixes, prompt, shape.idTokens());
    Optional<BlockPool.Granted> granted = pool.acquire(wanted, ends, maxHits);
    if (granted.isEmpty()) {
      return false;
    }
    int hits = granted.get().hits();
    generation.publishedBlocks = hits;
    generation.cachedTokens = hits * shape.idTokens();
    generation.sequence =
        new Sequence(
            memory,
            tokens,
            prefixes,
            granted.get().blocks(),
            generation.cachedTokens,
            generation.choice);
    return true;
  }

  /**
   * The tokens to compute. With states a prefill engine leaves the last one to the decode engine,
   * which cannot take it back out of a state (vLLM 0.32.0, {@code
   * _truncate_mamba_request_for_prefill}).
   */
  private int[] prompt(Generation generation) {
    int[] prompt = generation.prompt;
    return leavesLastToken(generation) && prompt.length > 1
        ? Arrays.copyOf(prompt, prompt.length - 1)
        : prompt;
  }

  /** Tokens to say; then a state is that of the prompt only if no second one is computed. */
  private int limit(Generation generation) {
    return leavesLastToken(generation) ? 1 : generation.maxTokens;
  }

  private boolean leavesLastToken(Generation generation) {
    return shape.hasStates() && generation.params instanceof TransferParams.RemoteDecode;
  }

  /** Tokens of the prompt that the prefix cache does not have. */
  private static int missing(Generation generation) {
    return generation.sequence().size() - generation.cachedTokens;
  }

  private void start(Generation generation) {
    if (generation.params instanceof TransferParams.RemotePrefill remote) {
      load(generation, remote);
      return;
    }
    int missing = missing(generation);
    after(config.timing().prefill(missing))
        .onComplete(waited -> {
          if (generation.stage == Generation.Stage.RUNNING) {
            compute(generation, missing);
          }
        });
  }

  private void compute(Generation generation, int missing) {
    generation.busy = true;
    work(computation(generation.sequence()))
        .onComplete(computed -> {
          generation.busy = false;
          if (computed.failed()) {
            fail(generation, computed.cause());
            return;
          }
          counters.computedTokens.addAndGet(missing);
          promptReady(generation);
        });
  }

  private void load(Generation generation, TransferParams.RemotePrefill remote) {
    int missing = missing(generation);
    // Behind a loaded state the last token of the prompt is still to be computed.
    int end = shape.hasStates() ? generation.prompt.length - 1 : generation.prompt.length;
    int promised = Math.max(0, end - generation.cachedTokens);
    generation.busy = true;
    counters.promisedTokens.addAndGet(promised);
    connector
        .load(remote, generation.sequence(), generation.cachedTokens, end)
        .onComplete(result -> {
          generation.busy = false;
          if (result.failed()) {
            fail(generation, result.cause());
            return;
          }
          switch (result.result()) {
            case Connector.Load.Done done -> {
              generation.sequence().loaded(end);
              counters.loadedTokens.addAndGet(promised);
              counters.computedTokens.addAndGet(missing - promised);
              promptReady(generation);
            }
            case Connector.Load.Failed failed -> {
              counters.failedTransfers.incrementAndGet();
              switch (config.loadFailure()) {
                case FAIL ->
                    retire(
                        generation, ending(generation, new Ending.RequestFailed(failed.reason())));
                case RECOMPUTE -> compute(generation, missing);
              }
            }
            case Connector.Load.Fatal fatal ->
                retire(generation, ending(generation, new Ending.CoreFailed(fatal.reason())));
          }
        });
  }

  private void promptReady(Generation generation) {
    counters.promptTokens.addAndGet(generation.prompt.length);
    counters.cachedTokens.addAndGet(generation.cachedTokens);
    publish(generation);
    decode(generation, 1);
  }

  private void decode(Generation generation, int count) {
    Ending requested = generation.requestedEnding;
    if (requested != null) {
      retire(generation, requested);
      return;
    }
    generation.busy = true;
    work(() -> generation.sequence().decode(count))
        .onComplete(said -> {
          generation.busy = false;
          if (said.failed()) {
            fail(generation, said.cause());
            return;
          }
          publish(generation);
          Ending ending = generation.requestedEnding;
          if (ending != null) {
            retire(generation, ending);
            return;
          }
          heard(generation, said.result());
        });
  }

  private void heard(Generation generation, Spoken said) {
    generation.said += said.count();
    counters.generationTokens.addAndGet(said.count());
    Future<Void> taken = generation.listener.onTokens(said);
    if (generation.stage == Generation.Stage.ENDED) {
      return;
    }
    int left = limit(generation) - generation.said;
    if (left == 0) {
      retire(generation, new Ending.Length(Optional.empty()));
      return;
    }
    Duration delay = config.timing().interTokenDelay();
    taken
        .compose(ready -> after(delay))
        .onComplete(ready -> {
          if (generation.stage == Generation.Stage.RUNNING) {
            decode(generation, delay.isZero() ? Math.min(left, BURST) : 1);
          }
        });
  }

  /** Gives the blocks back, or leaves them pinned, and tells the listener. */
  private void retire(Generation generation, Ending ending) {
    running.remove(generation);
    Sequence sequence = generation.sequence();
    Ending result = ending;
    if (generation.params instanceof TransferParams.RemoteDecode) {
      result =
          switch (ending) {
            case Ending.Length length -> new Ending.Length(hold(generation));
            case Ending.Stopped stopped ->
                config.release().handsOverAtStop() ? new Ending.Stopped(hold(generation)) : stopped;
            case Ending.Aborted aborted -> aborted;
            case Ending.RequestFailed failed -> failed;
            case Ending.CoreFailed failed -> failed;
            case Ending.Overloaded overloaded -> overloaded;
          };
    }
    pool.release(sequence.blocks().all());
    finish(generation, result);
    schedule();
  }

  private Optional<HandOff> hold(Generation generation) {
    Sequence sequence = generation.sequence();
    int tokens = sequence.computed();
    return connector.hold(
        generation.requestId, sequence.exported(tokens), tokens, generation.cachedTokens);
  }

  private void finish(Generation generation, Ending ending) {
    generation.stage = Generation.Stage.ENDED;
    switch (ending) {
      case Ending.Length length -> counters.endedByLength.incrementAndGet();
      case Ending.Stopped stopped -> counters.endedByStop.incrementAndGet();
      case Ending.Aborted aborted -> counters.endedByAbort.incrementAndGet();
      case Ending.RequestFailed failed -> counters.endedByError.incrementAndGet();
      case Ending.CoreFailed failed -> counters.endedByError.incrementAndGet();
      case Ending.Overloaded overloaded -> counters.endedByError.incrementAndGet();
    }
    generation.listener.onEnd(ending);
    if (ending instanceof Ending.CoreFailed failed) {
      onCoreFailure.accept(failed.reason());
    }
  }

  private void fail(Generation generation, Throwable cause) {
    retire(generation, ending(generation, new Ending.RequestFailed(cause.toString())));
  }

  private static Ending ending(Generation generation, Ending otherwise) {
    Ending requested = generation.requestedEnding;
    return requested == null ? otherwise : requested;
  }

  private void releaseRemote(Generation generation) {
    if (generation.params instanceof TransferParams.RemotePrefill remote) {
      connector.release(remote);
    }
  }

  private void publish(Generation generation) {
    Sequence sequence = generation.sequence();
    long[] prefixes = sequence.fullBlockPrefixes();
    if (shape.hasStates()) {
      return;
    }
    GroupBlocks blocks = sequence.blocks();
    for (int i = generation.publishedBlocks; i < prefixes.length; i++) {
      for (int group = 0; group < blocks.groups(); group++) {
        pool.publish(blocks.of(group)[i], group, prefixes[i]);
      }
    }
    generation.publishedBlocks = Math.max(generation.publishedBlocks, prefixes.length);
  }

  private static Callable<Integer> computation(Sequence sequence) {
    return () -> {
      sequence.compute();
      return sequence.computed();
    };
  }

  private <T> Future<T> work(Callable<T> work) {
    // A result that is already there would be delivered inside this call, and bursts that follow
    // each other quickly would nest without end; so every result takes a turn of the event loop.
    Promise<T> result = Promise.promise();
    context
        .executeBlocking(work, false)
        .map(Objects::requireNonNull)
        .onComplete(done -> context.runOnContext(turn -> result.handle(done)));
    return result.future();
  }

  private Future<Void> after(Duration delay) {
    return delay.isZero()
        ? Future.succeededFuture()
        : vertx.timer(delay.toNanos(), TimeUnit.NANOSECONDS);
  }
}
