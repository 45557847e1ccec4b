package dev.millrace.simulator.core;

import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.Timing;
import dev.millrace.simulator.model.KvFunction;
import dev.millrace.simulator.model.Spoken;
import io.vertx.core.Vertx;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * Says the same words to every prompt, from no cache at all: an engine that costs next to nothing,
 * for measuring what stands before it. Hand-offs it makes name blocks that do not exist, those it
 * gets it ignores.
 */
public final class CannedGenerator implements Generator {
  /** What hand-offs name when no port is configured: vLLM's default. */
  private static final int SIDE_CHANNEL_PORT = 5600;

  private static final long[] STATES = states();

  private final Vertx vertx;
  private final Timing timing;
  private final HandOff handOff;

  /** A generator that runs on whichever event loop it is called on. */
  public CannedGenerator(Vertx vertx, EngineConfig config, String engineId) {
    this.vertx = vertx;
    this.timing = config.timing();
    int port = config.sideChannelPort() == 0 ? SIDE_CHANNEL_PORT : config.sideChannelPort();
    this.handOff =
        new HandOff(
            config.release(),
            List.of(List.of(1, 2, 3)),
            engineId,
            "",
            config.host(),
            port,
            1,
            0,
            0);
  }

  @Override
  public void submit(Generation generation) {
    generation.stage = Generation.Stage.RUNNING;
    after(timing.prefill(generation.prompt.length), generation, () -> say(generation));
  }

  @Override
  public void end(Generation generation, Ending ending) {
    if (generation.stage == Generation.Stage.RUNNING) {
      generation.stage = Generation.Stage.ENDED;
      generation.listener.onEnd(ending);
    }
  }

  private void say(Generation generation) {
    int left = generation.maxTokens - generation.said;
    Duration delay = timing.interTokenDelay();
    long[] states = new long[delay.isZero() ? Math.min(left, STATES.length) : 1];
    for (int i = 0; i < states.length; i++) {
      states[i] = STATES[(generation.said + i) % STATES.length];
    }
    generation.said += states.length;
    generation
        .listener
        .onTokens(Spoken.in(0, states))
        .onComplete(taken -> {
          if (generation.said == generation.maxTokens) {
            end(generation, new Ending.Length(handOff(generation)));
          } else {
            after(delay, generation, () -> say(generation));
          }
        });
  }

  private Optional<HandOff> handOff(Generation generation) {
    if (!(generation.params instanceof TransferParams.RemoteDecode)) {
      return Optional.empty();
    }
    return Optional.of(
        new HandOff(
            handOff.release(),
            handOff.blockIds(),
            handOff.engineId(),
            generation.requestId,
            handOff.host(),
            handOff.port(),
            1,
            generation.prompt.length,
            0));
  }

  private void after(Duration delay, Generation generation, Runnable then) {
    if (delay.isZero()) {
      then.run();
      return;
    }
    vertx
        .timer(delay.toNanos(), TimeUnit.NANOSECONDS)
        .onComplete(passed -> {
          if (generation.stage == Generation.Stage.RUNNING) {
            then.run();
          }
        });
  }

  private static long[] states() {
    long[] states = new long[64];
    long state = 0;
    for (int i = 0; i < states.length; i++) {
      state = KvFunction.extend(state, i);
      states[i] = state;
    }
    return states;
  }
}
