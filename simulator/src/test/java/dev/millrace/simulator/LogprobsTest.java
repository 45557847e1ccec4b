package dev.millrace.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Layout;
import dev.millrace.layout.Parallelism;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Log-probabilities of what is said, in the shapes of vLLM 0.32 ({@code CompletionLogProbs} and
 * {@code ChatCompletionLogProbs}, whose keys stand in this order).
 */
class LogprobsTest {
  private static final String CHAT =
      "{\"messages\":[{\"role\":\"user\",\"content\":\"What is a cache?\"}],\"max_tokens\":6}";

  @RegisterExtension private final EngineInvariants engines = new EngineInvariants();

  private static String asking(String body, String key, Object value) {
    return Legs.with(body, key, String.valueOf(value));
  }

  private static JsonObject completion(SimulatedEngine engine, String body) {
    HttpResponse<String> answer = Caller.complete(engine, body);
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    return new JsonObject(answer.body()).getJsonArray("choices").getJsonObject(0);
  }

  private static JsonObject chat(SimulatedEngine engine, String body) {
    HttpResponse<String> answer = Caller.post(engine, "/v1/chat/completions", body);
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    return new JsonObject(answer.body()).getJsonArray("choices").getJsonObject(0);
  }

  /** The first choices of a stream's events that have one. */
  private static List<JsonObject> streamed(SimulatedEngine engine, String path, String body) {
    List<JsonObject> choices = new ArrayList<>();
    for (String event :
        Caller.events(Caller.post(engine, path, asking(body, "stream", true)).body())) {
      if (!event.equals("[DONE]")) {
        choices.add(new JsonObject(event).getJsonArray("choices").getJsonObject(0));
      }
    }
    return choices;
  }

  private static List<JsonObject> objects(JsonArray array) {
    return IntStream.range(0, array.size()).mapToObj(array::getJsonObject).toList();
  }

  @Test
  void completion_tellsOfEachToken() {
    SimulatedEngine engine = engines.start(c -> c);
    JsonObject choice = completion(engine, asking(Legs.body("Hello", 6), "logprobs", 3));
    JsonObject logprobs = choice.getJsonObject("logprobs");
    assertThat(logprobs.fieldNames())
        .containsExactly("text_offset", "token_logprobs", "tokens", "top_logprobs");
    List<?> tokens = logprobs.getJsonArray("tokens").getList();
    assertThat(tokens).hasSize(6);
    String text = "";
    for (int i = 0; i < 6; i++) {
      String token = String.valueOf(tokens.get(i));
      assertThat(logprobs.getJsonArray("text_offset").getInteger(i)).isEqualTo(text.length());
      JsonObject likeliest = logprobs.getJsonArray("top_logprobs").getJsonObject(i);
      assertThat(likeliest.fieldNames()).hasSize(3).startsWith(token);
      assertThat(likeliest.getDouble(token))
          .isEqualTo(logprobs.getJsonArray("token_logprobs").getDouble(i))
          .isNegative();
      text += token;
    }
    assertThat(choice.getString("text")).isEqualTo(text);
  }

  @Test
  void completion_noAlternatives_tellsOfTheTokenAlone() {
    SimulatedEngine engine = engines.start(c -> c);
    JsonObject logprobs =
        completion(engine, asking(Legs.body("Hello", 2), "logprobs", 0)).getJsonObject("logprobs");
    assertThat(objects(logprobs.getJsonArray("top_logprobs")))
        .hasSize(2)
        .allSatisfy(likeliest -> assertThat(likeliest.size()).isEqualTo(1));
  }

  @ParameterizedTest
  @CsvSource({"null", "''"})
  void completion_notAsked_isNull(String value) {
    SimulatedEngine engine = engines.start(c -> c);
    String body = Legs.body("Hello", 2);
    JsonObject choice =
        completion(engine, value.isEmpty() ? body : asking(body, "logprobs", value));
    assertThat(choice.containsKey("logprobs")).isTrue();
    assertThat(choice.getValue("logprobs")).isNull();
  }

  @Test
  void completion_streamed_tellsTheSame() {
    SimulatedEngine engine = engines.start(c -> c);
    String body = asking(Legs.body("Hello", 6), "logprobs", 2);
    JsonObject atOnce = completion(engine, body).getJsonObject("logprobs");
    JsonObject joined = new JsonObject();
    for (JsonObject choice : streamed(engine, "/v1/completions", body)) {
      choice
          .getJsonObject("logprobs")
          .forEach(entry -> {
            JsonArray all = joined.getJsonArray(entry.getKey(), new JsonArray());
            joined.put(entry.getKey(), all.addAll((JsonArray) entry.getValue()));
          });
    }
    assertThat(joined).isEqualTo(atOnce);
  }

  @Test
  void completion_secondAnswer_tellsOfItsTokenBesideTheLikeliest() {
    SimulatedEngine engine = engines.start(c -> c);
    String body = asking(asking(Legs.body("Hello", 1), "logprobs", 1), "n", 2);
    JsonArray choices =
        new JsonObject(Caller.complete(engine, body).body()).getJsonArray("choices");
    JsonObject greedy = likeliest(choices, 0);
    JsonObject other = likeliest(choices, 1);
    assertThat(greedy.fieldNames()).containsExactly(choices.getJsonObject(0).getString("text"));
    assertThat(other.fieldNames())
        .containsExactly(
            choices.getJsonObject(1).getString("text"), choices.getJsonObject(0).getString("text"));
  }

  private static JsonObject likeliest(JsonArray choices, int index) {
    return choices
        .getJsonObject(index)
        .getJsonObject("logprobs")
        .getJsonArray("top_logprobs")
        .getJsonObject(0);
  }

  @Test
  void chat_tellsOfEachToken() {
    SimulatedEngine engine = engines.start(c -> c);
    JsonObject choice = chat(engine, asking(asking(CHAT, "logprobs", true), "top_logprobs", 2));
    assertThat(choice.getJsonObject("logprobs").fieldNames()).containsExactly("content");
    StringBuilder text = new StringBuilder();
    for (JsonObject token : objects(choice.getJsonObject("logprobs").getJsonArray("content"))) {
      assertThat(token.fieldNames()).containsExactly("token", "logprob", "bytes", "top_logprobs");
      List<JsonObject> top = objects(token.getJsonArray("top_logprobs"));
      assertThat(top).hasSize(2);
      assertThat(top.getFirst().fieldNames()).containsExactly("token", "logprob", "bytes");
      assertThat(top.getFirst().getString("token")).isEqualTo(token.getString("token"));
      assertThat(top.getFirst().getDouble("logprob"))
          .isEqualTo(token.getDouble("logprob"))
          .isGreaterThan(top.getLast().getDouble("logprob"));
      byte[] bytes = new byte[token.getJsonArray("bytes").size()];
      for (int i = 0; i < bytes.length; i++) {
        bytes[i] = token.getJsonArray("bytes").getInteger(i).byteValue();
      }
      assertThat(new String(bytes, StandardCharsets.UTF_8)).isEqualTo(token.getString("token"));
      text.append(token.getString("token"));
    }
    assertThat(choice.getJsonObject("message").getString("content")).isEqualTo(text.toString());
  }

  @Test
  void chat_noAlternatives_hasAnEmptyList() {
    SimulatedEngine engine = engines.start(c -> c);
    JsonObject choice = chat(engine, asking(CHAT, "logprobs", true));
    assertThat(objects(choice.getJsonObject("logprobs").getJsonArray("content")))
        .hasSize(6)
        .allSatisfy(token -> assertThat(token.getJsonArray("top_logprobs").size()).isZero());
  }

  @Test
  void chat_streamed_tellsTheSame() {
    SimulatedEngine engine = engines.start(c -> c);
    String body = asking(asking(CHAT, "logprobs", true), "top_logprobs", 3);
    JsonArray joined = new JsonArray();
    List<JsonObject> events = streamed(engine, "/v1/chat/completions", body);
    // The role comes before the first token.
    assertThat(events.getFirst().getValue("logprobs")).isNull();
    for (JsonObject choice : events.subList(1, events.size())) {
      joined.addAll(choice.getJsonObject("logprobs").getJsonArray("content"));
    }
    assertThat(joined)
        .isEqualTo(chat(engine, body).getJsonObject("logprobs").getJsonArray("content"));
  }

  @Test
  void acrossEngines_equalAggregated() {
    SimulatedEngine prefill = engines.start(c -> c.role(EngineRole.PREFILL));
    SimulatedEngine decode =
        engines.start(c -> c.role(EngineRole.DECODE).geometry(unequal(c.build())));
    SimulatedEngine one = engines.start(c -> c);
    String body = asking(Legs.body(Legs.prompt(50), 4), "logprobs", 5);
    String params = Legs.prefill(prefill, Legs.prompt(50));
    assertThat(completion(decode, asking(body, "kv_transfer_params", params)))
        .isEqualTo(completion(one, body));
  }

  private static GeometrySpec unequal(EngineConfig like) {
    return new GeometrySpec(
        like.geometry().model(), Parallelism.tensor(2), 32, Layout.NHD, like.geometry().blocks());
  }

  @Test
  void acrossEngines_oneByteWrong_likeliestAreOthers() {
    SimulatedEngine prefill = engines.start(c -> c.role(EngineRole.PREFILL));
    SimulatedEngine decode = engines.start(c -> c.role(EngineRole.DECODE));
    SimulatedEngine one = engines.start(c -> c);
    decode.misbehave(new Misbehaviour.CorruptByte());
    String body = asking(Legs.body(Legs.prompt(50), 1), "logprobs", 5);
    String params = Legs.prefill(prefill, Legs.prompt(50));
    JsonObject wrong = completion(decode, asking(body, "kv_transfer_params", params));
    JsonObject right = completion(one, body);
    assertThat(likeliest(new JsonArray().add(wrong), 0).fieldNames())
        .hasSize(5)
        .doesNotContainAnyElementsOf(likeliest(new JsonArray().add(right), 0).fieldNames());
  }

  @Test
  void plainEngine_tellsAsWell() {
    SimulatedEngine engine = engines.start(c -> c.plain(true));
    JsonObject logprobs =
        completion(engine, asking(Legs.body("Hello", 4), "logprobs", 1)).getJsonObject("logprobs");
    assertThat(logprobs.getJsonArray("tokens").size()).isEqualTo(4);
  }

  @ParameterizedTest
  @CsvSource({
    "/v1/completions, logprobs, -1, must be a positive value",
    "/v1/completions, logprobs, 21, which is greater than max allowed: 20",
    "/v1/chat/completions, top_logprobs, 1, `logprobs` must be set to true",
    "/v1/chat/completions, top_logprobs, -1, must be a positive value",
  })
  void refused_whatThereIsNot(String path, String key, int value, String why) {
    SimulatedEngine engine = engines.start(c -> c);
    String body = path.contains("chat") ? CHAT : Legs.body("Hello", 2);
    HttpResponse<String> answer = Caller.post(engine, path, asking(body, key, value));
    assertThat(answer.statusCode()).isEqualTo(400);
    assertThat(Json.at(answer.body(), "error.message")).contains(why);
    assertThat(Json.at(answer.body(), "error.param")).isEqualTo(key);
  }
}
