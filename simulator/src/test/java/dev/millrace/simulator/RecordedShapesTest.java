package dev.millrace.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Bodies have the keys, their order and their types that a real vLLM's have. */
class RecordedShapesTest {
  private static final String CHAT =
      "{\"model\":\"tiny\",\"messages\":[{\"role\":\"user\",\"content\":\"What is a cache?\"}],\"max_tokens\":%d}";

  private static final Pattern LABEL = Pattern.compile("(\\w+)=\"([^\"]*)\"");

  @RegisterExtension private final EngineInvariants engines = new EngineInvariants();

  @Test
  void prefillLeg_completion_hasTheRecordedShape() {
    SimulatedEngine prefill = engines.start(c -> c);
    SimulatedEngine decode = engines.start(c -> c);
    String prompt = Legs.prompt(40);
    String body =
        Legs.with(
            Legs.with(Legs.body(prompt, 1), "kv_transfer_params", Legs.ASK_PREFILL),
            "return_token_ids",
            "true");
    String answer = Caller.complete(prefill, body).body();
    assertThat(Json.shape(answer)).isEqualTo(Json.shape(Recordings.text("p_leg.json")));
    assertThat(Json.at(answer, "kv_transfer_params.remote_request_id"))
        .matches(Json.at(answer, "id") + "-0-[0-9a-f]{8}");
    assertThat(Json.at(answer, "kv_transfer_params.remote_engine_id"))
        .isEqualTo(prefill.engineId());
    assertThat(Json.at(answer, "kv_transfer_params.remote_num_tokens")).isEqualTo("40");
    release(decode, prompt, answer);
  }

  @Test
  void prefillLeg_chat_hasTheRecordedShape() {
    SimulatedEngine prefill = engines.start(c -> c);
    SimulatedEngine decode = engines.start(c -> c);
    String body = Legs.with(CHAT.formatted(1), "kv_transfer_params", Legs.ASK_PREFILL);
    String answer = Caller.post(prefill, "/v1/chat/completions", body).body();
    assertThat(Json.shape(answer)).isEqualTo(Json.shape(Recordings.text("p_leg_chat.json")));
    assertThat(Json.at(answer, "kv_transfer_params.remote_request_id"))
        .matches(Json.at(answer, "id") + "-[0-9a-f]{8}");
    release(decode, "x", answer);
  }

  /** As a router does it: a request that is refused, with the parameters. */
  private static void release(SimulatedEngine decode, String prompt, String answer) {
    String refused =
        Legs.with(
            Legs.with(Legs.body(prompt, 8), "min_tokens", "5000"),
            "kv_transfer_params",
            Json.raw(answer, "kv_transfer_params"));
    assertThat(Caller.complete(decode, refused).statusCode()).isEqualTo(400);
  }

  @Test
  void answer_completion_hasTheRecordedShape() {
    SimulatedEngine engine = engines.start(c -> c);
    String body = Legs.with(Legs.body(Legs.prompt(100), 24), "return_token_ids", "true");
    assertThat(Json.shape(Caller.complete(engine, body).body()))
        .isEqualTo(Json.shape(Recordings.text("d_leg.json")));
  }

  @Test
  void answer_chat_hasTheRecordedShape() {
    SimulatedEngine engine = engines.start(c -> c);
    String answer = Caller.post(engine, "/v1/chat/completions", CHAT.formatted(24)).body();
    assertThat(Json.shape(answer)).isEqualTo(Json.shape(Recordings.text("d_leg_chat.json")));
  }

  @Test
  void stream_completion_hasTheRecordedEvents() {
    SimulatedEngine engine = engines.start(c -> c);
    String body =
        Legs.with(
            Legs.with(
                Legs.with(Legs.body(Legs.prompt(40), 24), "stream", "true"),
                "stream_options",
                "{\"include_usage\":true}"),
            "return_token_ids",
            "true");
    HttpResponse<String> answer = Caller.complete(engine, body);
    assertThat(answer.headers().firstValue("content-type"))
        .contains("text/event-stream; charset=utf-8");
    compareEvents(Caller.events(answer.body()), Caller.events(Recordings.text("d_leg.sse")));
  }

  @Test
  void stream_chat_hasTheRecordedEvents() {
    SimulatedEngine engine = engines.start(c -> c);
    String body =
        Legs.with(
            Legs.with(CHAT.formatted(24), "stream", "true"),
            "stream_options",
            "{\"include_usage\":true}");
    String answer = Caller.post(engine, "/v1/chat/completions", body).body();
    List<String> recorded = Caller.events(Recordings.text("d_leg_chat.sse"));
    List<String> events = Caller.events(answer);
    // The recording has fewer token events than tokens: some were sent together.
    compareEvents(events.subList(0, 2), recorded.subList(0, 2));
    compareEvents(
        events.subList(events.size() - 3, events.size()),
        recorded.subList(recorded.size() - 3, recorded.size()));
  }

  private static void compareEvents(List<String> events, List<String> recorded) {
    assertThat(events).hasSameSizeAs(recorded);
    for (int i = 0; i < events.size(); i++) {
      if (recorded.get(i).equals("[DONE]")) {
        assertThat(events.get(i)).isEqualTo("[DONE]");
      } else {
        assertThat(Json.shape(events.get(i)))
            .as("event %d: %s", i, events.get(i))
            .isEqualTo(Json.shape(recorded.get(i)));
      }
    }
  }

  @Test
  void refusal_minTokens_isTheRecordedOne() {
    SimulatedEngine engine = engines.start(c -> c);
    HttpResponse<String> answer =
        Caller.complete(engine, Legs.with(Legs.body("x", 8), "min_tokens", "5000"));
    assertThat(answer.statusCode()).isEqualTo(400);
    assertThat(answer.body()).isEqualTo(Recordings.text("error_reject.json").strip());
  }

  @Test
  void refusal_severalGreedyChoices_isTheRecordedOne() {
    SimulatedEngine engine = engines.start(c -> c);
    HttpResponse<String> answer =
        Caller.complete(
            engine, Legs.with(Legs.with(Legs.body("x", 8), "n", "3"), "temperature", "0"));
    assertThat(answer.statusCode()).isEqualTo(400);
    assertThat(answer.body()).isEqualTo(Recordings.text("error_ngen.json").strip());
  }

  @Test
  void refusal_otherModel_is404() {
    SimulatedEngine engine = engines.start(c -> c);
    HttpResponse<String> answer = Caller.complete(engine, "{\"model\":\"huge\",\"prompt\":\"x\"}");
    assertThat(answer.statusCode()).isEqualTo(404);
    assertThat(answer.body())
        .isEqualTo(
            "{\"error\":{\"message\":\"The model `huge` does not exist.\",\"type\":\"NotFoundError\",\"param\":\"model\",\"code\":404}}");
  }

  /** The first token of a prompt follows nothing, so it has no log-probability. */
  @Test
  void promptLogprobs_areListedByTokenWithRanks() {
    SimulatedEngine engine = engines.start(c -> c);
    String body = Legs.with(Legs.body("xy", 2), "prompt_logprobs", "1");
    JsonArray listed =
        new JsonObject(Caller.complete(engine, body).body())
            .getJsonArray("choices")
            .getJsonObject(0)
            .getJsonArray("prompt_logprobs");
    assertThat(listed).hasSize(2);
    assertThat(listed.getValue(0)).isNull();
    assertThat(listed.getJsonObject(1).getJsonObject("121").fieldNames())
        .containsExactly("logprob", "rank", "decoded_token");
  }

  @Test
  void echo_isThePromptBeforeTheAnswer_orAloneWithoutTokens() {
    SimulatedEngine engine = engines.start(c -> c);
    String body = Legs.with(Legs.body("xy", 2), "echo", "true");
    assertThat(text(Caller.complete(engine, body).body())).startsWith("xy ");
    String none = body.replace("\"max_tokens\":2", "\"max_tokens\":0");
    assertThat(text(Caller.complete(engine, none).body())).isEqualTo("xy");
  }

  private static String text(String body) {
    return new JsonObject(body).getJsonArray("choices").getJsonObject(0).getString("text");
  }

  @Test
  void refusal_notJson_is400() {
    SimulatedEngine engine = engines.start(c -> c);
    for (String body :
        new String[] {"", "[]", "{\"prompt\":", "{\"prompt\":{}}", "{}", "nonsense"}) {
      assertThat(Caller.complete(engine, body).statusCode()).as(body).isEqualTo(400);
    }
  }

  @Test
  void metrics_haveTheRecordedNamesAndLabels() {
    SimulatedEngine engine = engines.start(c -> c);
    List<String> recorded =
        Recordings.text("metrics_d.txt")
            .lines()
            .map(line -> line.replaceAll(" [^ ]*$", ""))
            .toList();
    List<String> ours =
        Caller.get(engine, "/metrics")
            .body()
            .lines()
            .filter(line -> !line.startsWith("#") && !line.contains("cache_config_info"))
            .map(line -> line.replaceAll(" [^ ]*$", ""))
            .toList();
    assertThat(ours).isNotEmpty().allSatisfy(name -> assertThat(recorded).contains(name));
  }

  /** Of transfers nothing is left out, histograms' buckets included, and all are in their order. */
  @Test
  void metrics_ofTransfers_areAllThere() {
    SimulatedEngine engine = engines.start(c -> c);

    assertThat(ofTransfers(Caller.get(engine, "/metrics").body()))
        .isEqualTo(ofTransfers(Recordings.text("metrics_d.txt")));
  }

  private static List<String> ofTransfers(String page) {
    return page.lines()
        .filter(line -> line.startsWith("vllm:nixl_"))
        .map(line -> line.substring(0, line.lastIndexOf(' ')))
        .filter(name -> !name.contains("_created{"))
        .toList();
  }

  @ParameterizedTest
  @ValueSource(strings = {"metrics_d.txt", "metrics_p.txt"})
  void metrics_haveTheRecordedTypes(String recording) {
    SimulatedEngine engine = engines.start(c -> c);
    List<String> recorded = types(Recordings.text(recording));

    assertThat(types(Caller.get(engine, "/metrics").body())).isNotEmpty().isSubsetOf(recorded);
  }

  private static List<String> types(String page) {
    return page.lines().filter(line -> line.startsWith("# TYPE ")).toList();
  }

  @Test
  void metrics_ofTheCacheConfiguration_haveRecordedLabels() {
    SimulatedEngine engine = engines.start(c -> c);
    Map<String, String> recorded = cacheConfig(Recordings.text("metrics_d.txt"));
    Map<String, String> ours = cacheConfig(Caller.get(engine, "/metrics").body());
    assertThat(recorded.keySet()).containsAll(ours.keySet());
    assertThat(ours)
        .containsEntry("enable_prefix_caching", recorded.get("enable_prefix_caching"))
        .containsEntry("cache_dtype", recorded.get("cache_dtype"))
        .containsEntry("block_size", "16");
  }

  /** The labels by name. */
  private static Map<String, String> cacheConfig(String page) {
    Map<String, String> labels = new HashMap<>();
    page.lines()
        .filter(line -> line.startsWith("vllm:cache_config_info{"))
        .flatMap(line -> LABEL.matcher(line).results())
        .forEach(label -> labels.put(label.group(1), label.group(2)));
    return labels;
  }

  @Test
  void metrics_sayWhenTheEngineWasStarted() {
    ManualClock clock = new ManualClock();
    SimulatedEngine first = engines.start(c -> c.clock(clock));
    clock.advance(Duration.ofMillis(1500));
    SimulatedEngine second = engines.start(c -> c.clock(clock));
    clock.advance(Duration.ofSeconds(60));
    assertThat(startSeconds(second) - startSeconds(first)).isCloseTo(1.5, within(1e-3));
  }

  private static double startSeconds(SimulatedEngine engine) {
    return Caller.get(engine, "/metrics")
        .body()
        .lines()
        .filter(line -> line.startsWith("process_start_time_seconds "))
        .mapToDouble(line -> Double.parseDouble(line.substring(line.indexOf(' '))))
        .sum();
  }
}
