package dev.millrace.conformance;

import com.openai.client.OpenAIClient;
import com.openai.core.http.StreamResponse;
import com.openai.models.responses.Response;
import com.openai.models.responses.ResponseCreateParams;
import com.openai.models.responses.ResponseStreamEvent;
import com.openai.models.responses.ResponseUsage;
import dev.millrace.conformance.Outcome.Counts;
import dev.millrace.conformance.Plan.Planned;
import java.util.ArrayList;
import java.util.List;

/** {@code /v1/responses}. */
final class Responses {
  private Responses() {}

  static ResponseCreateParams params(Planned one, Wishes wishes) {
    return ResponseCreateParams.builder()
        .model(one.model())
        .input(one.text())
        .maxOutputTokens(wishes.tokens())
        .temperature(0)
        .additionalBodyProperties(wishes.members())
        .putAdditionalHeader("x-script", wishes.script())
        .build();
  }

  static Outcome ask(OpenAIClient client, Planned one, Wishes wishes) {
    ResponseCreateParams params = params(one, wishes);
    if (!one.stream()) {
      return of(client.responses().create(params).validate());
    }
    StringBuilder deltas = new StringBuilder();
    List<Response> whole = new ArrayList<>();
    try (StreamResponse<ResponseStreamEvent> stream = client.responses().createStreaming(params)) {
      stream.stream()
          .forEach(event -> {
            event.outputTextDelta().ifPresent(delta -> deltas.append(delta.delta()));
            event.completed().ifPresent(completed -> whole.add(completed.response().validate()));
          });
    }
    Expect.same(whole.size(), 1, "the number of events with the whole response");
    Outcome outcome = of(whole.getFirst());
    Expect.same(deltas.toString(), outcome.texts().getFirst(), "the text of the deltas");
    return outcome;
  }

  private static Outcome of(Response response) {
    String text =
        response.output().getFirst().asMessage().content().getFirst().asOutputText().text();
    ResponseUsage usage = response.usage().orElseThrow();
    return new Outcome(
        List.of(text),
        List.of(response.status().orElseThrow().asString()),
        List.of(),
        new Counts(usage.inputTokens(), usage.outputTokens(), usage.totalTokens()));
  }
}
