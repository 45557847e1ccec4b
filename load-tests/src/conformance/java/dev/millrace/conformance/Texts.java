package dev.millrace.conformance;

import com.openai.client.OpenAIClient;
import com.openai.core.http.StreamResponse;
import com.openai.models.chat.completions.ChatCompletionStreamOptions;
import com.openai.models.completions.Completion;
import com.openai.models.completions.CompletionChoice;
import com.openai.models.completions.CompletionCreateParams;
import dev.millrace.conformance.Outcome.Likely;
import dev.millrace.conformance.Plan.Planned;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** {@code /v1/completions}. */
final class Texts {
  private Texts() {}

  static CompletionCreateParams params(Planned one, Wishes wishes) {
    CompletionCreateParams.Builder params =
        CompletionCreateParams.builder()
            .model(one.model())
            .prompt(one.text())
            .maxTokens(wishes.tokens())
            .temperature(wishes.n() > 1 ? 1 : 0)
            .n(wishes.n())
            .additionalBodyProperties(wishes.members())
            .putAdditionalHeader("x-script", wishes.script());
    if (!wishes.stop().isEmpty()) {
      params.stop(wishes.stop());
    }
    if (wishes.alternatives() > 0) {
      params.logprobs(wishes.alternatives());
    }
    if (one.stream()) {
      params.streamOptions(ChatCompletionStreamOptions.builder().includeUsage(true).build());
    }
    return params.build();
  }

  static Outcome ask(OpenAIClient client, Planned one, Wishes wishes) {
    CompletionCreateParams params = params(one, wishes);
    Gathered gathered = new Gathered();
    if (!one.stream()) {
      gather(client.completions().create(params).validate(), gathered);
      return gathered.outcome();
    }
    // Not validated: the schema has finish_reason in every choice, and no stream has it before the
    // last event of one.
    try (StreamResponse<Completion> stream = client.completions().createStreaming(params)) {
      stream.stream().forEach(chunk -> gather(chunk, gathered));
    }
    return gathered.outcome();
  }

  private static void gather(Completion part, Gathered gathered) {
    part.usage().ifPresent(usage -> gathered.usage(Chats.counts(usage)));
    for (CompletionChoice choice : part.choices()) {
      gathered.add(
          choice.index(),
          choice.text(),
          choice._finishReason().asKnown().map(CompletionChoice.FinishReason::asString),
          choice.logprobs().map(Texts::likely).orElse(List.of()));
    }
  }

  private static List<Likely> likely(CompletionChoice.Logprobs logprobs) {
    List<String> tokens = logprobs.tokens().orElseThrow();
    List<Double> numbers = logprobs.tokenLogprobs().orElseThrow();
    List<CompletionChoice.Logprobs.TopLogprob> top = logprobs.topLogprobs().orElseThrow();
    List<Likely> likely = new ArrayList<>();
    for (int i = 0; i < tokens.size(); i++) {
      likely.add(new Likely(tokens.get(i), numbers.get(i), alternatives(top.get(i))));
    }
    return likely;
  }

  private static Map<String, Double> alternatives(CompletionChoice.Logprobs.TopLogprob top) {
    Map<String, Double> alternatives = new TreeMap<>();
    top._allProperties()
        .forEach((token, value) -> alternatives.put(token, value.convert(Double.class)));
    return alternatives;
  }
}
