package dev.millrace.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.Layout;
import dev.millrace.transfer.SharedSecret;
import java.io.InputStream;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class AggregatedEngineTest {
  private static final String PROMPT =
      "\"model\":\"tiny\",\"prompt\":\"The cache of a model is a table of blocks, and more of it.\"";

  @RegisterExtension private final EngineInvariants engines = new EngineInvariants();

  @Test
  void completion_unary_saysAsManyTokensAsAskedFor() {
    SimulatedEngine engine = engines.start(config -> config);
    HttpResponse<String> answer =
        Caller.complete(engine, "{" + PROMPT + ",\"max_tokens\":5,\"return_token_ids\":true}");
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    assertThat(Json.all(answer.body(), "choices[].token_ids[]")).hasSize(5);
    assertThat(Json.at(answer.body(), "usage.completion_tokens")).isEqualTo("5");
    assertThat(Json.at(answer.body(), "choices[].finish_reason")).isEqualTo("length");
  }

  @ParameterizedTest
  @CsvSource({
    "1, 32, hnd",
    "2, 16, hnd",
    "4, 8, nhd",
    "8, 16, hnd",
    "1, 16, nhd",
    "2, 4, hnd-split",
    "1, 16, nhd-split",
    "4, 16, hnd-separate",
    "1, 8, nhd-separate",
    "2, 16, cross-layer",
    "1, 16, cross-layer-lhn",
    "4, 32, cross-layer-lnh",
    "2, 16, head-major",
    "2, 32, cpu"
  })
  void completion_anyGeometry_saysTheSame(int tensor, int block, String layout) {
    SimulatedEngine one =
        engines.start(c -> c.geometry(EngineInvariants.geometry(1, 16, Layout.HND)));
    SimulatedEngine other =
        engines.start(
            c -> c.geometry(EngineInvariants.geometry(tensor, block, Layout.parse(layout))));
    String body = "{" + PROMPT + ",\"max_tokens\":40}";
    assertThat(text(other, body)).isEqualTo(text(one, body));
  }

  @Test
  void completion_otherPrompt_saysSomethingElse() {
    SimulatedEngine engine = engines.start(config -> config);
    assertThat(text(engine, "{\"prompt\":\"a\",\"max_tokens\":3}"))
        .isNotEqualTo(text(engine, "{\"prompt\":\"b\",\"max_tokens\":3}"));
  }

  /** Newer clients of OpenAI require {@code cache_write_tokens}, and vLLM 0.32.0 has it. */
  @Test
  void response_usage_hasTheMembersOfVllms() {
    SimulatedEngine engine = engines.start(config -> config);
    String body = "{\"model\":\"tiny\",\"input\":\"a\",\"max_output_tokens\":2}";
    assertThat(Caller.post(engine, "/v1/responses", body).body())
        .contains(
            "\"input_tokens_details\":{\"cached_tokens\":0,\"cache_write_tokens\":0,"
                + "\"input_tokens_per_turn\":[],\"cached_tokens_per_turn\":[]}",
            "\"output_tokens_details\":{\"reasoning_tokens\":0,\"tool_output_tokens\":0,"
                + "\"output_tokens_per_turn\":[],\"tool_output_tokens_per_turn\":[]}");
  }

  private static HttpResponse<String> chat(SimulatedEngine engine, String body) {
    return Caller.post(engine, "/v1/chat/completions", body);
  }

  private static String said(SimulatedEngine engine, String body) {
    HttpResponse<String> answer = chat(engine, body);
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    return Json.at(answer.body(), "choices[].message.content");
  }

  @Test
  void chat_tokensOfThePrefillEngine_takeThePlaceOfMessagesWithoutMedia() {
    SimulatedEngine engine = engines.start(config -> config);
    String asked = "{\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}],\"max_tokens\":6}";
    HttpResponse<String> one =
        chat(engine, Legs.with(asked.formatted("one"), "return_token_ids", "true"));
    String params = "{\"prompt_token_ids\":" + Json.raw(one.body(), "prompt_token_ids") + "}";
    String another = asked.formatted("another");
    String media =
        another.replace("\"another\"", "[{\"type\":\"image_url\"},{\"text\":\"another\"}]");

    assertThat(said(engine, Legs.with(another, "kv_transfer_params", params)))
        .isEqualTo(said(engine, asked.formatted("one")))
        .isNotEqualTo(said(engine, another));
    assertThat(said(engine, Legs.with(media, "kv_transfer_params", params)))
        .isEqualTo(said(engine, another));
  }

  @ParameterizedTest
  @ValueSource(strings = {"[]", "7", "[1,\"x\"]", "[-1]", "[[1]]"})
  void chat_tokensThatAreNone_areRefused(String ids) {
    SimulatedEngine engine = engines.start(config -> config);
    HttpResponse<String> answer =
        chat(
            engine,
            "{\"kv_transfer_params\":{\"prompt_token_ids\":"
                + ids
                + "},\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}");
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(400);
    assertThat(answer.body()).contains("must be a non-empty list of non-negative integers");
  }

  @Test
  void completion_promptAsTokenIds_saysTheSameAsItsText() {
    SimulatedEngine engine = engines.start(config -> config);
    String expected = text(engine, "{\"prompt\":\"abc\"}");
    assertThat(text(engine, "{\"prompt\":[97,98,99]}")).isEqualTo(expected);
    assertThat(text(engine, "{\"prompt\":[\"abc\"]}")).isEqualTo(expected);
  }

  @Test
  void completion_streamed_saysTheSameAsUnary() {
    SimulatedEngine engine = engines.start(config -> config);
    String unary = text(engine, "{" + PROMPT + ",\"max_tokens\":40}");
    String stream =
        Caller.complete(engine, "{" + PROMPT + ",\"max_tokens\":40,\"stream\":true}").body();
    List<String> events = Caller.events(stream);
    assertThat(events).hasSize(41).endsWith("[DONE]");
    StringBuilder text = new StringBuilder();
    for (String event : events.subList(0, 40)) {
      text.append(Json.at(event, "choices[].text"));
    }
    assertThat(text.toString()).isEqualTo(unary);
  }

  @Test
  void completion_repeated_takesThePromptFromThePrefixCache() {
    SimulatedEngine engine = engines.start(config -> config);
    String body = "{" + PROMPT + ",\"max_tokens\":4}";
    String first = text(engine, body);
    long computed = engine.stats().prefillTokensComputed();
    assertThat(text(engine, body)).isEqualTo(first);
    assertThat(engine.stats().promptTokensByLocalCache()).isEqualTo(48);
    assertThat(engine.stats().prefillTokensComputed()).isEqualTo(computed + (computed - 48));
  }

  @Test
  void completion_stopString_endsBeforeIt() {
    SimulatedEngine engine = engines.start(config -> config);
    String whole = text(engine, "{" + PROMPT + ",\"max_tokens\":40}");
    String stop = whole.substring(30, 36);
    HttpResponse<String> answer =
        Caller.complete(engine, "{" + PROMPT + ",\"max_tokens\":40,\"stop\":[\"" + stop + "\"]}");
    assertThat(Json.at(answer.body(), "choices[].text"))
        .isEqualTo(whole.substring(0, whole.indexOf(stop)));
    assertThat(Json.at(answer.body(), "choices[].finish_reason")).isEqualTo("stop");
    assertThat(Json.at(answer.body(), "choices[].stop_reason")).isEqualTo(stop);
  }

  @Test
  void completion_severalChoices_differ() {
    SimulatedEngine engine = engines.start(config -> config);
    String body = Caller.complete(engine, "{" + PROMPT + ",\"n\":3,\"max_tokens\":4}").body();
    assertThat(Json.all(body, "choices[].text")).hasSize(3).doesNotHaveDuplicates();
    assertThat(Json.all(body, "choices[].index")).containsExactly("0", "1", "2");
  }

  @Test
  void completion_moreRequestsThanBlocks_waitAndAllAreAnswered() {
    SimulatedEngine engine =
        engines.start(c -> c.geometry(EngineInvariants.geometry(1, 16, Layout.HND, 9)));
    var answers =
        IntStream.range(0, 12)
            .mapToObj(i ->
                Caller.completeLater(engine, "{\"prompt\":\"number " + i + "\",\"max_tokens\":60}"))
            .toList();
    for (var answer : answers) {
      assertThat(answer.join().statusCode()).isEqualTo(200);
    }
  }

  @Test
  void completion_nullsForOptionalKeys_countAsAbsent() {
    SimulatedEngine engine = engines.start(config -> config);
    String body =
        "{\"prompt\":\"a\",\"max_tokens\":null,\"n\":null,\"temperature\":null,\"stop\":null,"
            + "\"min_tokens\":null,\"stream\":null,\"logprobs\":null,\"kv_transfer_params\":null}";
    assertThat(text(engine, body)).isEqualTo(text(engine, "{\"prompt\":\"a\"}"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"stream\":{\"max_tokens\":9}",
        "\"max_tokens\":{\"n\":3}",
        "\"kv_transfer_params\":{\"remote_host\":{\"do_remote_prefill\":true}}"
      })
  void completion_objectInsteadOfAValue_isNotReadAsKeysOfTheBody(String odd) {
    SimulatedEngine engine = engines.start(c -> c);
    HttpResponse<String> answer =
        Caller.complete(engine, "{" + odd + ",\"prompt\":\"abc\",\"max_tokens\":2}");
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    assertThat(Json.at(answer.body(), "usage.completion_tokens")).isEqualTo("2");
  }

  @Test
  void metrics_modelNameWithQuotes_isEscaped() {
    SimulatedEngine engine = engines.start(c -> c.model("a \"b\" \\ c"));
    assertThat(Caller.get(engine, "/metrics").body())
        .contains("vllm:generation_tokens_total{engine=\"0\",model_name=\"a \\\"b\\\" \\\\ c\"} ");
  }

  @Test
  void config_asText_hasNoSecret() {
    SharedSecret secret = SharedSecret.of("of nobody else but us".getBytes(StandardCharsets.UTF_8));
    EngineTransport transport = new EngineTransport.Tcp(secret);
    assertThat(EngineConfig.builder().transport(transport).build().toString())
        .contains("127.0.0.1")
        .doesNotContain("nobody");
    assertThat(transport.toString()).doesNotContain("nobody");
  }

  @Test
  void completion_limitsThatMakeNoSense_400() {
    SimulatedEngine engine = engines.start(config -> config);
    for (String key : new String[] {"\"max_tokens\":0", "\"max_tokens\":-3", "\"n\":0"}) {
      assertThat(Caller.complete(engine, "{\"prompt\":\"a\"," + key + "}").statusCode())
          .as(key)
          .isEqualTo(400);
    }
    assertThat(Caller.complete(engine, "{\"prompt\":\"a\",\"max_tokens\":100000}").body())
        .contains("maximum context length is");
  }

  @Test
  void models_health_version_metrics_answer() {
    SimulatedEngine engine = engines.start(config -> config);
    assertThat(Json.at(Caller.get(engine, "/v1/models").body(), "data[].id")).isEqualTo("tiny");
    assertThat(Caller.get(engine, "/health").statusCode()).isEqualTo(200);
    assertThat(Caller.get(engine, "/version").body())
        .isEqualTo("{\"version\":\"0.32.0+millrace-sim\"}");
    assertThat(Caller.get(engine, "/metrics").body())
        .contains("vllm:num_requests_running{engine=\"0\",model_name=\"tiny\"} 0.0\n");
    assertThat(Caller.get(engine, "/nowhere").statusCode()).isEqualTo(404);
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void completion_clientReadsLate_getsEveryToken(boolean plain) throws Exception {
    SimulatedEngine engine = engines.start(c -> c.plain(plain));
    int tokens = plain ? 40_000 : 4_000;
    try (InputStream stream =
        Caller.stream(engine, "{\"prompt\":\"a\",\"stream\":true,\"max_tokens\":" + tokens + "}")) {
      // Long enough for every buffer in between to fill up; it decides nothing.
      Thread.sleep(200);
      String whole = new String(stream.readAllBytes(), StandardCharsets.UTF_8);
      assertThat(Caller.events(whole)).hasSize(tokens + 1).endsWith("[DONE]");
    }
  }

  @Test
  void stream_hundredsAtOnce_allAreComplete() {
    SimulatedEngine engine = engines.start(config -> config);
    String body = "{" + PROMPT + ",\"max_tokens\":128,\"stream\":true}";
    var answers =
        IntStream.range(0, 500).mapToObj(i -> Caller.completeLater(engine, body)).toList();
    for (var answer : answers) {
      assertThat(Caller.events(answer.join().body())).hasSize(129).endsWith("[DONE]");
    }
  }

  @Test
  void plainEngine_unaryAndStreamed_answers() {
    SimulatedEngine engine = engines.start(c -> c.plain(true));
    String unary = text(engine, "{" + PROMPT + ",\"max_tokens\":100}");
    List<String> events =
        Caller.events(
            Caller.complete(engine, "{" + PROMPT + ",\"max_tokens\":100,\"stream\":true}").body());
    assertThat(unary).isNotBlank();
    assertThat(events).hasSize(101);
  }

  private static String text(SimulatedEngine engine, String body) {
    HttpResponse<String> answer = Caller.complete(engine, body);
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    return Json.at(answer.body(), "choices[].text");
  }
}
