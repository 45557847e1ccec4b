package dev.millrace.simulator.http;

import dev.millrace.simulator.core.TransferParams;
import dev.millrace.simulator.model.Tokens;
import java.util.List;
import java.util.OptionalInt;

/**
 * A request for an answer, as far as the simulated engine minds it.
 *
 * @param api which route it came by
 * @param model whose answer it is to be
 * @param prompt tokens, at least one
 * @param delivery how the answer is to come
 * @param choices number of answers, {@code n}
 * @param maxTokens most tokens of each answer
 * @param stop strings that end an answer
 * @param tokenIds whether the answer carries token ids, {@code return_token_ids}
 * @param alternatives how many of the likeliest tokens come with each token, {@code logprobs};
 *     empty where no log-probabilities are wanted
 * @param params what to do with blocks
 */
record CompletionRequest(
    Api api,
    String model,
    Tokens prompt,
    Delivery delivery,
    int choices,
    int maxTokens,
    List<String> stop,
    TokenIds tokenIds,
    OptionalInt alternatives,
    TransferParams params) {

  enum Api {
    COMPLETIONS,
    CHAT,
    RESPONSES,
    MESSAGES
  }

  enum Delivery {
    UNARY,
    STREAM,
    STREAM_WITH_USAGE
  }

  enum TokenIds {
    OMIT,
    RETURN
  }

  /** What became of a body. */
  sealed interface Reading {
    record Read(CompletionRequest request) implements Reading {}

    /**
     * Refused.
     *
     * @param params what the body asked of the connector, as far as it was understood: a prefill
     *     engine waits for somebody to free its blocks
     */
    record Refused(ErrorBody error, TransferParams params) implements Reading {}
  }
}
