package dev.millrace.conformance;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.openai.client.OpenAIClient;
import com.openai.core.JsonValue;
import com.openai.core.http.StreamResponse;
import com.openai.errors.BadRequestException;
import com.openai.errors.InternalServerException;
import com.openai.errors.NotFoundException;
import com.openai.errors.OpenAIServiceException;
import com.openai.models.FunctionDefinition;
import com.openai.models.FunctionParameters;
import com.openai.models.chat.completions.ChatCompletion;
import com.openai.models.chat.completions.ChatCompletionChunk;
import com.openai.models.chat.completions.ChatCompletionChunk.Choice.Delta.ToolCall;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import com.openai.models.chat.completions.ChatCompletionFunctionTool;
import com.openai.models.chat.completions.ChatCompletionMessageFunctionToolCall;
import com.openai.models.completions.Completion;
import com.openai.models.embeddings.CreateEmbeddingResponse;
import com.openai.models.embeddings.EmbeddingCreateParams;
import com.openai.models.models.Model;
import dev.millrace.conformance.Outcome.Counts;
import dev.millrace.conformance.Outcome.Likely;
import dev.millrace.conformance.Plan.Planned;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;

/** What is expected in each kind of case. */
final class Checks {
  private static final List<String> MODELS =
      List.of("gone", "kept", "lost", "misfit", "pair", "plain", "recorded");

  private final Plan plan;
  private final JsonMapper json;

  Checks(Plan plan, JsonMapper json) {
    this.plan = plan;
    this.json = json;
  }

  void check(Planned one) throws IOException, InterruptedException {
    switch (one.kind()) {
      case "answer" -> answer(one);
      case "n" -> several(one);
      case "stop" -> stop(one);
      case "logprobs" -> logprobs(one);
      case "tools" -> tools(one);
      case "alone" -> compared(one, alone(one));
      case "models" -> models(one);
      case "embeddings" -> embeddings(one);
      case "unknown" -> unknown(one);
      case "bad" -> bad(one);
      case "too-many" -> tooMany(one);
      case "gone" -> gone(one);
      case "dies" -> dies(one);
      case "leaves" -> leaves(one);
      default -> throw new AssertionError("there is no kind " + one.kind());
    }
  }

  private OpenAIClient router(Planned one) {
    return OpenAiCases.client(plan.router(), one);
  }

  private static Outcome ask(OpenAIClient client, Planned one, Wishes wishes) {
    return switch (one.api()) {
      case Plan.CHAT -> Chats.ask(client, one, wishes);
      case Plan.COMPLETIONS -> Texts.ask(client, one, wishes);
      case Plan.RESPONSES -> Responses.ask(client, one, wishes);
      default -> throw new AssertionError("nothing is said at " + one.api());
    };
  }

  private Outcome oneEngines(Planned one, Wishes wishes) {
    String engine = plan.engines().getOrDefault(one.model(), "");
    return ask(OpenAiCases.client(engine, one), one, wishes);
  }

  /** The answer through Millrace, which must be one engine's. */
  private Outcome compared(Planned one, Wishes wishes) {
    Outcome found = ask(router(one), one, wishes);
    Expect.same(found, oneEngines(one, wishes), "the answer");
    return found;
  }

  /** The simulated model has a token for each byte, and its template puts some around a message. */
  private static long promptTokens(Planned one) {
    String text =
        one.api().equals(Plan.COMPLETIONS)
            ? one.text()
            : "<|user|>\n" + one.text() + "\n<|assistant|>\n";
    return text.getBytes(StandardCharsets.UTF_8).length;
  }

  private void answer(Planned one) {
    Outcome found = compared(one, Wishes.NONE);
    String end = one.api().equals(Plan.RESPONSES) ? "incomplete" : "length";
    Expect.same(found.usage(), Counts.of(promptTokens(one), Wishes.TOKENS), "usage");
    Expect.same(found.ends(), List.of(end), "how it ends");
    Expect.same(words(found).length, Wishes.TOKENS, "the number of words");
  }

  private static String[] words(Outcome outcome) {
    return outcome.texts().getFirst().trim().split(" ", -1);
  }

  private void several(Planned one) {
    Outcome found = compared(one, Wishes.NONE.withN(3));
    Expect.same(found.usage(), Counts.of(promptTokens(one), 3L * Wishes.TOKENS), "usage");
    Expect.same(new HashSet<>(found.texts()).size(), 3, "the number of different answers");
    Expect.same(found.ends(), Collections.nCopies(3, "length"), "how they end");
  }

  private void stop(Planned one) {
    Outcome whole = oneEngines(one, Wishes.NONE);
    String text = whole.texts().getFirst();
    String word = words(whole)[4];
    Outcome found = compared(one, Wishes.NONE.withStop(word));
    Expect.same(found.texts(), List.of(text.substring(0, text.indexOf(word))), "the answer");
    Expect.same(found.ends(), List.of("stop"), "how it ends");
  }

  private void logprobs(Planned one) {
    List<Likely> tokens = compared(one, Wishes.NONE.withAlternatives(2)).logprobs().getFirst();
    Expect.same(tokens.size(), Wishes.TOKENS, "the number of tokens with log-probabilities");
    for (Likely token : tokens) {
      Expect.holds(token.logprob() <= 0 && token.alternatives().size() >= 2, "" + token);
    }
  }

  private static Wishes alone(Planned one) {
    return one.api().equals(Plan.RESPONSES)
        ? Wishes.NONE.withMember("truncation", "auto")
        : Wishes.NONE.withMember("truncate_prompt_tokens", -1);
  }

  private void tools(Planned one) throws IOException, InterruptedException {
    FunctionDefinition weather =
        FunctionDefinition.builder()
            .name("weather")
            .description("Größe")
            .parameters(
                FunctionParameters.builder()
                    .putAdditionalProperty("type", JsonValue.from("object"))
                    .build())
            .build();
    ChatCompletionCreateParams params =
        Chats.params(one, Wishes.NONE.withScript("tools")).toBuilder()
            .addTool(ChatCompletionFunctionTool.builder().function(weather).build())
            .build();
    Expect.same(called(one, params), "call_1 weather {\"city\":\"Köln\"} tool_calls", "the call");
    JsonNode legs = recorded(one);
    Expect.same(legs.size(), one.model().equals("recorded") ? 2 : 1, "the number of legs");
    for (JsonNode leg : legs) {
      Expect.same(
          leg.path("body").path("tools"),
          json.readTree(
              """
              [{"function":{"name":"weather","description":"Größe","parameters":{"type":"object"}},"type":"function"}]
              """),
          "the tools at an engine");
    }
  }

  private String called(Planned one, ChatCompletionCreateParams params) {
    if (!one.stream()) {
      ChatCompletion.Choice choice =
          router(one).chat().completions().create(params).validate().choices().getFirst();
      ChatCompletionMessageFunctionToolCall call =
          choice.message().toolCalls().orElseThrow().getFirst().asFunction();
      String end = choice.finishReason().asString();
      return "%s %s %s %s"
          .formatted(call.id(), call.function().name(), call.function().arguments(), end);
    }
    StringBuilder said = new StringBuilder();
    try (StreamResponse<ChatCompletionChunk> stream =
        router(one).chat().completions().createStreaming(params)) {
      stream.stream()
          .flatMap(chunk -> chunk.validate().choices().stream())
          .forEach(choice -> {
            choice.delta().toolCalls().orElse(List.of()).forEach(part -> append(part, said));
            choice.finishReason().ifPresent(end -> said.append(' ').append(end.asString()));
          });
    }
    return said.toString();
  }

  private static void append(ToolCall part, StringBuilder said) {
    part.id().ifPresent(id -> said.append(id).append(' '));
    part.function()
        .ifPresent(function -> {
          function.name().ifPresent(name -> said.append(name).append(' '));
          function.arguments().ifPresent(said::append);
        });
  }

  private JsonNode recorded(Planned one) throws IOException, InterruptedException {
    URI uri = URI.create(plan.recorder() + "/recorded/" + one.id());
    try (HttpClient http = HttpClient.newHttpClient()) {
      HttpResponse<String> answer =
          http.send(HttpRequest.newBuilder(uri).build(), HttpResponse.BodyHandlers.ofString());
      List<Map<String, Object>> legs = json.readValue(answer.body(), new TypeReference<>() {});
      for (Map<String, Object> leg : legs) {
        leg.put("body", json.readTree(String.valueOf(leg.get("body"))));
      }
      return json.valueToTree(legs);
    }
  }

  private void models(Planned one) {
    OpenAIClient client = router(one);
    List<Model> found =
        client.models().list().autoPager().stream().map(model -> model.validate()).toList();
    Expect.same(found.stream().map(Model::id).sorted().toList(), MODELS, "the models");
    Expect.same(client.models().retrieve("pair").validate().ownedBy(), "vllm", "whose model it is");
    refused(one, 404, "model_not_found", () -> client.models().retrieve("nobody"));
  }

  private void embeddings(Planned one) throws IOException, InterruptedException {
    CreateEmbeddingResponse answer = router(one).embeddings().create(embedding(one)).validate();
    Expect.same(
        answer.data().stream().map(each -> each.embedding()).toList(),
        List.of(List.of(0.5f, -0.25f, 0f), List.of(0.5f, -0.25f, 1f)),
        "the embeddings");
    Expect.same(
        recorded(one).path(0).path("body"),
        json.readTree(
            """
            {"input":["a","b"],"model":"kept","encoding_format":"float"}
            """),
        "what the engine got");
  }

  private static EmbeddingCreateParams embedding(Planned one) {
    return EmbeddingCreateParams.builder()
        .model(one.model())
        .inputOfArrayOfStrings(List.of("a", "b"))
        .encodingFormat(EmbeddingCreateParams.EncodingFormat.FLOAT)
        .build();
  }

  /** The error that a call must raise. */
  private static OpenAIServiceException refused(
      Planned one, int status, String code, Runnable call) {
    try {
      call.run();
    } catch (OpenAIServiceException e) {
      Class<?> kind =
          switch (status) {
            case 400 -> BadRequestException.class;
            case 404 -> NotFoundException.class;
            default -> InternalServerException.class;
          };
      Expect.holds(kind.isInstance(e), "the error is " + e);
      Expect.same(e.statusCode(), status, "the status");
      Expect.holds(e.body().toString().contains(code), "the error's body is " + e.body());
      Expect.same(e.headers().values("x-request-id"), List.of(one.id()), "the request's id");
      return e;
    }
    throw new AssertionError("nothing was raised");
  }

  private void unknown(Planned one) {
    Planned nobodys = one.ofModel("nobody");
    OpenAIServiceException e =
        refused(
            one,
            404,
            "model_not_found",
            () -> {
              if (one.api().equals("/v1/embeddings")) {
                router(one).embeddings().create(embedding(nobodys));
              } else {
                ask(router(one), nobodys, Wishes.NONE);
              }
            });
    Expect.holds(String.valueOf(e.getMessage()).contains(one.id()), "the message is " + e);
  }

  private void bad(Planned one) {
    Wishes wrong = Wishes.NONE.withMember("stream", "yes");
    refused(one, 400, "invalid_type", () -> ask(router(one), one, wrong));
  }

  private void tooMany(Planned one) {
    Wishes many = Wishes.NONE.withTokens(10_000_000);
    refused(one, 400, "maximum context length", () -> ask(router(one), one, many));
  }

  private void gone(Planned one) {
    OpenAIServiceException e =
        refused(one, 503, "decode_unreachable", () -> ask(router(one), one, Wishes.NONE));
    Expect.same(e.headers().values("retry-after"), List.of("1"), "retry-after");
  }

  private void dies(Planned one) {
    try {
      ask(router(one), one, Wishes.NONE.withScript("dies"));
    } catch (OpenAIServiceException e) {
      Expect.holds(
          e.body().toString().contains("decode_broken"), "the error's body is " + e.body());
      return;
    }
    throw new AssertionError("the stream ended as if nothing were wrong");
  }

  private void leaves(Planned one) {
    Wishes many = Wishes.NONE.withTokens(2000);
    if (one.api().equals(Plan.CHAT)) {
      try (StreamResponse<ChatCompletionChunk> stream =
          router(one).chat().completions().createStreaming(Chats.params(one, many))) {
        Expect.holds(stream.stream().findFirst().isPresent(), "there is no event");
      }
    } else {
      try (StreamResponse<Completion> stream =
          router(one).completions().createStreaming(Texts.params(one, many))) {
        Expect.holds(stream.stream().findFirst().isPresent(), "there is no event");
      }
    }
  }
}
