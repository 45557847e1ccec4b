package dev.millrace.cli;

import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Random;

/**
 * What a client makes of an answer, put together from one object or from events.
 *
 * @param status of HTTP
 * @param text what was said, or the body of a refusal
 * @param tokens ids of the answer's tokens
 * @param logprobs of the tokens, where they were asked for
 * @param endings a finish reason per choice
 * @param promptTokens by {@code usage}
 * @param completionTokens by {@code usage}
 * @param events how many there were
 */
record VllmAnswer(
    int status,
    String text,
    List<Object> tokens,
    List<Double> logprobs,
    List<String> endings,
    int promptTokens,
    int completionTokens,
    int events) {
  private static final Duration LONGEST = Duration.ofSeconds(150);

  /** Token ids below are special. */
  private static final int FIRST_PLAIN_TOKEN = 8;

  private static final int VOCABULARY = 2000;

  /** A prompt that no engine has seen. */
  static List<Integer> prompt(Random random, int tokens) {
    return random.ints(tokens, FIRST_PLAIN_TOKEN, VOCABULARY).boxed().toList();
  }

  /** A greedy completion to its full length. */
  static JsonObject completion(List<Integer> prompt, int maxTokens) {
    return new JsonObject()
        .put("model", VllmEngines.MODEL)
        .put("prompt", new JsonArray(prompt))
        .put("temperature", 0)
        .put("ignore_eos", true)
        .put("return_token_ids", true)
        .put("max_tokens", maxTokens);
  }

  static JsonObject streamed(JsonObject body) {
    return body.copy()
        .put("stream", true)
        .put("stream_options", new JsonObject().put("include_usage", true));
  }

  static HttpRequest request(URI server, String path, JsonObject body, String id) {
    return HttpRequest.newBuilder(server.resolve(path))
        .timeout(LONGEST)
        .header("Content-Type", "application/json")
        .header("X-Request-Id", id)
        .POST(HttpRequest.BodyPublishers.ofString(body.encode()))
        .build();
  }

  static VllmAnswer ask(URI server, String path, JsonObject body)
      throws IOException, InterruptedException {
    return ask(request(server, path, body, "asked"));
  }

  static VllmAnswer ask(HttpRequest request) throws IOException, InterruptedException {
    // vLLM ends connections that were idle for five seconds, perhaps while a request is on its way:
    // no connection is used twice.
    try (HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build()) {
      HttpResponse<String> response = client.send(request, HttpResponse.BodyHandlers.ofString());
      return of(response.statusCode(), response.body());
    }
  }

  static VllmAnswer of(int status, String body) {
    if (status != 200) {
      return refusal(status, body.strip());
    }
    List<JsonObject> events =
        body.startsWith("{")
            ? List.of(new JsonObject(body))
            : body.lines()
                .filter(line -> line.startsWith("data: {"))
                .map(line -> new JsonObject(line.substring("data: ".length())))
                .toList();
    if (!body.startsWith("{") && !body.contains("data: [DONE]")) {
      return refusal(status, "the stream does not end with [DONE]: " + body);
    }
    StringBuilder text = new StringBuilder();
    List<Object> tokens = new ArrayList<>();
    List<Double> logprobs = new ArrayList<>();
    List<String> endings = new ArrayList<>();
    JsonObject usage = new JsonObject();
    for (JsonObject event : events) {
      if (event.containsKey("error")) {
        return refusal(status, event.encode());
      }
      if (event.getValue("kv_transfer_params") != null) {
        return refusal(status, "a hand-off reached the client: " + event.encode());
      }
      usage = Objects.requireNonNullElse(event.getJsonObject("usage"), usage);
      for (Object each : event.getJsonArray("choices")) {
        JsonObject choice = (JsonObject) each;
        JsonObject part = choice;
        if (choice.getValue("delta") != null) {
          part = choice.getJsonObject("delta");
        } else if (choice.getValue("message") != null) {
          part = choice.getJsonObject("message");
        }
        text.append(said(part));
        if (choice.getValue("token_ids") != null) {
          choice.getJsonArray("token_ids").forEach(tokens::add);
        }
        if (choice.getValue("logprobs") != null) {
          logprobs.addAll(numbers(choice.getJsonObject("logprobs")));
        }
        if (choice.getValue("finish_reason") != null) {
          endings.add(choice.getString("finish_reason"));
        }
      }
    }
    return new VllmAnswer(
        status,
        text.toString(),
        tokens,
        logprobs,
        endings,
        usage.getInteger("prompt_tokens", 0),
        usage.getInteger("completion_tokens", 0),
        events.size());
  }

  private static String said(JsonObject part) {
    String text = part.getString("text");
    return Objects.requireNonNullElse(text == null ? part.getString("content") : text, "");
  }

  /** Chat says them in {@code content}, completions in {@code token_logprobs}. */
  private static List<Double> numbers(JsonObject logprobs) {
    List<Double> numbers = new ArrayList<>();
    if (logprobs.getValue("content") != null) {
      logprobs
          .getJsonArray("content")
          .forEach(each -> numbers.add(((JsonObject) each).getDouble("logprob")));
    } else {
      logprobs
          .getJsonArray("token_logprobs")
          .forEach(each -> numbers.add(((Number) each).doubleValue()));
    }
    return numbers;
  }

  private static VllmAnswer refusal(int status, String text) {
    return new VllmAnswer(status, text, List.of(), List.of(), List.of(), 0, 0, 0);
  }

  /** Whether somebody who reads both could tell them apart; log-probabilities may be a hair off. */
  boolean says(VllmAnswer other) {
    return status == 200
        && other.status == 200
        && text.equals(other.text)
        && tokens.equals(other.tokens)
        && endings.equals(other.endings)
        && promptTokens == other.promptTokens
        && completionTokens == other.completionTokens
        && logprobs.size() == other.logprobs.size();
  }
}
