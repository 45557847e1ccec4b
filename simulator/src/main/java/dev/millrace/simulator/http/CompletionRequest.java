package dev.millrace.simulator.http;

import dev.millrace.simulator.core.TransferParams;
import dev.millrace.simulator.model.Tokens;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * A request for an answer, as far as the simulated engine minds it.
 *
 * @param api which route it came by
 * @param model whose answer it is to be
 * @param prompts at least one, each of at least one token
 * @param delivery how the answer is to come
 * @param choices number of answers to each prompt, {@code n}
 * @param maxTokens most tokens of each answer
 * @param stop strings that end an answer
 * @param tokenIds whether the answer carries token ids, {@code return_token_ids}
 * @param alternatives how many of the likeliest tokens come with each token, {@code logprobs};
 *     empty where no log-probabilities are wanted
 * @param promptAlternatives the same for the tokens of the prompt, {@code prompt_logprobs}
 * @param echo whether the prompt comes before the answer, {@code echo}
 * @param conversation that the answer ends, where it is to be kept, {@code store}
 * @param params what to do with blocks
 */
record CompletionRequest(
    Api api,
    String model,
    List<Tokens> prompts,
    Delivery delivery,
    int choices,
    int maxTokens,
    List<String> stop,
    TokenIds tokenIds,
    OptionalInt alternatives,
    OptionalInt promptAlternatives,
    Echo echo,
    Optional<String> conversation,
    TransferParams params) {

  /** The prompt of an answer. */
  Tokens prompt(int answer) {
    return prompts.get(answer / choices);
  }

  /** How many answers there are to all prompts. */
  int answers() {
    return prompts.size() * choices;
  }

  /** Tokens of all prompts together. */
  int promptTokens() {
    return prompts.stream().mapToInt(Tokens::size).sum();
  }

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

  enum Echo {
    NO,
    /** Before the answer. */
    BEFORE,
    /** In its place: no tokens were asked for. */
    ALONE
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
