package dev.millrace.simulator.core;

import dev.millrace.simulator.cache.Sequence;
import dev.millrace.simulator.model.Spoken;
import io.vertx.core.Future;
import org.jspecify.annotations.Nullable;

/** One answer to one prompt, from its submission to its end. Belongs to the engine's event loop. */
public final class Generation {
  /** Hears what a generation says. Called on the engine's event loop. */
  public interface Listener {
    /**
     * Takes tokens.
     *
     * @return completes when more may come
     */
    Future<Void> onTokens(Spoken said);

    /** Takes the end, however it came about; nothing comes after it. */
    void onEnd(Ending ending);
  }

  enum Stage {
    NEW,
    WAITING,
    RUNNING,
    ENDED
  }

  final String model;
  final int[] prompt;
  final int maxTokens;
  final int choice;
  final TransferParams params;
  final String requestId;
  final Listener listener;

  Stage stage = Stage.NEW;
  @Nullable Sequence sequence;
  @Nullable Ending requestedEnding;
  int said;
  int cachedTokens;
  int publishedBlocks;

  /** Whether a worker or a transport is using the sequence's blocks. */
  boolean busy;

  /**
   * A generation to be submitted.
   *
   * @param model whose it is: the engine's, or one of its adapters
   * @param prompt at least one token
   * @param maxTokens most tokens to say, at least 1
   * @param choice which of several answers to the prompt this is, from 0
   * @param requestId name of the request inside the engine
   */
  public Generation(
      String model,
      int[] prompt,
      int maxTokens,
      int choice,
      TransferParams params,
      String requestId,
      Listener listener) {
    if (prompt.length < 1 || maxTokens < 1) {
      throw new IllegalArgumentException(
          "generation of %d tokens after a prompt of %d (each >= 1)"
              .formatted(maxTokens, prompt.length));
    }
    this.model = model;
    this.prompt = prompt;
    this.maxTokens = maxTokens;
    this.choice = choice;
    this.params = params;
    this.requestId = requestId;
    this.listener = listener;
  }

  /** Prompt tokens that this engine found in its prefix cache. */
  public int cachedTokens() {
    return cachedTokens;
  }

  /** Number of tokens in the prompt. */
  public int promptTokens() {
    return prompt.length;
  }

  Sequence sequence() {
    Sequence present = sequence;
    if (present == null) {
      throw new IllegalStateException(requestId + " has no blocks yet");
    }
    return present;
  }

  @Override
  public String toString() {
    return requestId + " (" + stage + ", " + prompt.length + "+" + said + " tokens)";
  }
}
