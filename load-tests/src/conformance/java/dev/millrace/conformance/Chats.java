package dev.millrace.conformance;

import com.openai.client.OpenAIClient;
import com.openai.core.http.StreamResponse;
import com.openai.models.chat.completions.ChatCompletion;
import com.openai.models.chat.completions.ChatCompletionChunk;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import com.openai.models.chat.completions.ChatCompletionStreamOptions;
import com.openai.models.chat.completions.ChatCompletionTokenLogprob;
import com.openai.models.completions.CompletionUsage;
import dev.millrace.conformance.Outcome.Counts;
import dev.millrace.conformance.Outcome.Likely;
import dev.millrace.conformance.Plan.Planned;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/** {@code /v1/chat/completions}. */
final class Chats {
  private Chats() {}

  static ChatCompletionCreateParams params(Planned one, Wishes wishes) {
    ChatCompletionCreateParams.Builder params =
        ChatCompletionCreateParams.builder()
            .model(one.model())
            .addUserMessage(one.text())
            .maxCompletionTokens(wishes.tokens())
            .temperature(wishes.n() > 1 ? 1 : 0)
            .n(wishes.n())
            .additionalBodyProperties(wishes.members())
            .putAdditionalHeader("x-script", wishes.script());
    if (!wishes.stop().isEmpty()) {
      params.stop(wishes.stop());
    }
    if (wishes.alternatives() > 0) {
      params.logprobs(true).topLogprobs(wishes.alternatives());
    }
    if (one.stream()) {
      params.streamOptions(ChatCompletionStreamOptions.builder().includeUsage(true).build());
    }
    return params.build();
  }

  static Outcome ask(OpenAIClient client, Planned one, Wishes wishes) {
    ChatCompletionCreateParams params = params(one, wishes);
    if (!one.stream()) {
      return of(client.chat().completions().create(params).validate());
    }
    Gathered gathered = new Gathered();
    try (StreamResponse<ChatCompletionChunk> stream =
        client.chat().completions().createStreaming(params)) {
      stream.stream().forEach(chunk -> gather(chunk.validate(), gathered));
    }
    return gathered.outcome();
  }

  private static Outcome of(ChatCompletion answer) {
    List<ChatCompletion.Choice> choices = answer.choices();
    return new Outcome(
        choices.stream().map(choice -> choice.message().content().orElseThrow()).toList(),
        choices.stream().map(choice -> choice.finishReason().asString()).toList(),
        choices.stream()
            .map(choice ->
                likely(choice.logprobs().flatMap(ChatCompletion.Choice.Logprobs::content)))
            .toList(),
        counts(answer.usage().orElseThrow()));
  }

  private static void gather(ChatCompletionChunk chunk, Gathered gathered) {
    chunk.usage().ifPresent(usage -> gathered.usage(counts(usage)));
    for (ChatCompletionChunk.Choice choice : chunk.choices()) {
      gathered.add(
          choice.index(),
          choice.delta().content().orElse(""),
          choice.finishReason().map(ChatCompletionChunk.Choice.FinishReason::asString),
          likely(choice.logprobs().flatMap(ChatCompletionChunk.Choice.Logprobs::content)));
    }
  }

  private static List<Likely> likely(Optional<List<ChatCompletionTokenLogprob>> tokens) {
    return tokens.orElse(List.of()).stream()
        .map(each -> new Likely(each.token(), each.logprob(), alternatives(each)))
        .toList();
  }

  private static Map<String, Double> alternatives(ChatCompletionTokenLogprob token) {
    return token.topLogprobs().stream()
        .collect(
            Collectors.toMap(
                ChatCompletionTokenLogprob.TopLogprob::token,
                ChatCompletionTokenLogprob.TopLogprob::logprob));
  }

  static Counts counts(CompletionUsage usage) {
    return new Counts(usage.promptTokens(), usage.completionTokens(), usage.totalTokens());
  }
}
