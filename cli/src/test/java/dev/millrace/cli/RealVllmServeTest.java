package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.millrace.layout.ElementType;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.Parallelism;
import dev.millrace.layout.Rounding;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Requests through {@code millrace serve} before a real vLLM pair: each answer is that of one real
 * engine that does both phases, and the decode engine has read what {@code millrace plan} says.
 *
 * <p>All engines compute in float32: in bfloat16 the sums of batches of other sizes differ enough
 * to decide a near-tie otherwise, with or without disaggregation.
 */
@Tag("vllm")
class RealVllmServeTest {
  private static final String COMPLETIONS = "/v1/completions";
  private static final String CHAT = "/v1/chat/completions";
  private static final int MAX_TOKENS = 24;
  private static final GeometrySpec GEOMETRY =
      new GeometrySpec(
          ModelShape.dense(4, 4, 32, ElementType.FLOAT32),
          Parallelism.tensor(1),
          32,
          Layout.CPU_ATTENTION,
          1024);

  @TempDir static Path folder;
  private static final Random RANDOM = new Random();
  private static final List<String> ROWS = Collections.synchronizedList(new ArrayList<>());
  private static VllmEngines engines;
  private static VllmRouter router;

  @BeforeAll
  static void start() throws Exception {
    VllmEngines.assumeSetUp(RealVllmServeTest.class);
    engines = VllmEngines.up("--dtype", "float32");
    router =
        VllmRouter.serve(
            folder,
            new VllmRouter.Pair(
                engines.prefill(),
                engines.decode(),
                "layers: 4, kv-heads: 4, head-size: 32, dtype: fp32"),
            "transfer: engine");
    router.untilUsable();
  }

  @AfterAll
  static void stop() throws Exception {
    System.out.println(
        "| request | prompt tokens | answer tokens | equal | bytes predicted | bytes read |\n|---|--:|--:|---|--:|--:|");
    ROWS.forEach(System.out::println);
    if (router != null) {
      router.close();
    }
    if (engines != null) {
      engines.close();
    }
  }

  private static long planned(int tokens) {
    return PlanReport.of(GEOMETRY, GEOMETRY, tokens, Rounding.WHOLE_BLOCKS).bytesMoved();
  }

  private static String letters(int count) {
    return RANDOM
        .ints(count, 'a', 'z' + 1)
        .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
        .toString();
  }

  /** One byte of text is one token; the template adds some. */
  private static JsonObject chat(int bytes) {
    JsonObject body = VllmAnswer.completion(List.of(), MAX_TOKENS);
    body.remove("prompt");
    JsonObject message = new JsonObject().put("role", "user").put("content", letters(bytes));
    return body.put("messages", new JsonArray().add(message));
  }

  private static JsonObject completion(int tokens) {
    return VllmAnswer.completion(VllmAnswer.prompt(RANDOM, tokens), MAX_TOKENS);
  }

  private static VllmAnswer compare(String what, String path, JsonObject body) throws Exception {
    VllmAnswer expected = VllmAnswer.ask(engines.aggregated().url(), path, body);
    assertThat(expected.status()).as(expected.text()).isEqualTo(200);
    long before = engines.bytesRead(engines.decode(), 0);
    long predicted = planned(expected.promptTokens());

    VllmAnswer answer = router.ask(path, body, "compared");

    long read = engines.bytesRead(engines.decode(), before + predicted) - before;
    ROWS.add(
        "| %s | %d | %d | %s | %d | %d |"
            .formatted(
                what,
                expected.promptTokens(),
                answer.completionTokens(),
                answer.says(expected) ? "yes" : "**no**",
                predicted,
                read));
    assertThat(answer.says(expected)).as("%s instead of %s", answer, expected).isTrue();
    assertThat(read).as("bytes of %d tokens", expected.promptTokens()).isEqualTo(predicted);
    for (int i = 0; i < expected.logprobs().size(); i++) {
      assertThat(answer.logprobs().get(i)).isCloseTo(expected.logprobs().get(i), within(1e-3));
    }
    return answer;
  }

  /** A block has 32 tokens. */
  @ParameterizedTest
  @ValueSource(ints = {1, 31, 32, 33, 500, 1900})
  void completions_ofManyLengths_areOneEngines(int tokens) throws Exception {
    compare("completions", COMPLETIONS, completion(tokens));
    VllmAnswer streamed =
        compare("completions, streamed", COMPLETIONS, VllmAnswer.streamed(completion(tokens)));
    assertThat(streamed.events()).isGreaterThan(2);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 27, 28, 29, 500, 1900})
  void chat_ofManyLengths_isOneEngines(int bytes) throws Exception {
    compare("chat", CHAT, chat(bytes));
    VllmAnswer streamed = compare("chat, streamed", CHAT, VllmAnswer.streamed(chat(bytes)));
    assertThat(streamed.events()).isGreaterThan(2);
  }

  @ParameterizedTest
  @CsvSource({"false", "true"})
  void logprobs_areOneEngines(boolean stream) throws Exception {
    JsonObject completion = completion(100).put("logprobs", 3);
    JsonObject chat = chat(100).put("logprobs", true).put("top_logprobs", 3);
    for (JsonObject body : List.of(completion, chat)) {
      VllmAnswer answer =
          compare(
              "logprobs" + (stream ? ", streamed" : ""),
              body.containsKey("messages") ? CHAT : COMPLETIONS,
              stream ? VllmAnswer.streamed(body) : body);
      assertThat(answer.logprobs()).hasSize(MAX_TOKENS);
    }
  }

  @Test
  void stop_endsWhereOneEngineEnds() throws Exception {
    for (boolean stream : new boolean[] {false, true}) {
      JsonObject body = completion(100);
      String whole = VllmAnswer.ask(engines.aggregated().url(), COMPLETIONS, body).text();
      // Something that does not begin with the answer, and is not cut out of a broken character.
      String piece = whole.substring(whole.length() / 2).replaceFirst("^\\P{ASCII}+", "");
      JsonObject stopped = body.copy().put("stop", piece.substring(0, Math.min(3, piece.length())));

      VllmAnswer answer =
          compare("stop", COMPLETIONS, stream ? VllmAnswer.streamed(stopped) : stopped);

      assertThat(answer.endings()).containsExactly("stop");
      assertThat(answer.text()).hasSizeLessThan(whole.length());
    }
  }

  /** vLLM refuses several greedy answers; sampled ones with a seed can be counted. */
  @Test
  void n_hasAsManyChoicesAsAsked_fromOnePrefill() throws Exception {
    JsonObject body = completion(100).put("n", 3).put("temperature", 0.8).put("seed", 7);
    long before = engines.bytesRead(engines.decode(), 0);

    HttpJson.Answer answer;
    try (HttpJson http = new HttpJson()) {
      answer = http.post(router.url().resolve(COMPLETIONS), body, "n");
    }

    assertThat(answer.status()).as(answer.body().encode()).isEqualTo(200);
    JsonArray choices = answer.body().getJsonArray("choices");
    assertThat(choices).hasSize(3);
    for (int i = 0; i < 3; i++) {
      assertThat(choices.getJsonObject(i).getInteger("index")).isEqualTo(i);
      assertThat(choices.getJsonObject(i).getString("finish_reason")).isEqualTo("length");
      assertThat(choices.getJsonObject(i).getJsonArray("token_ids")).hasSize(MAX_TOKENS);
    }
    assertThat(answer.body().getJsonObject("usage").getInteger("completion_tokens"))
        .isEqualTo(3 * MAX_TOKENS);
    long read = engines.bytesRead(engines.decode(), before + planned(100)) - before;
    assertThat(read).isEqualTo(planned(100));
    ROWS.add(
        "| n = 3, sampled with a seed | 100 | %d | 3 choices | %d | %d |"
            .formatted(3 * MAX_TOKENS, planned(100), read));
  }

  @Test
  void twentyStreamsAtOnce_areOneEngines() throws Exception {
    List<JsonObject> bodies = new ArrayList<>();
    List<VllmAnswer> expected = new ArrayList<>();
    long predicted = 0;
    for (int i = 0; i < 20; i++) {
      bodies.add(VllmAnswer.streamed(completion(20 + 37 * i)));
      expected.add(VllmAnswer.ask(engines.aggregated().url(), COMPLETIONS, bodies.get(i)));
      predicted += planned(20 + 37 * i);
    }
    long before = engines.bytesRead(engines.decode(), 0);
    List<CompletableFuture<VllmAnswer>> asked = new ArrayList<>();
    int equal = 0;
    int tokens = 0;
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      for (int i = 0; i < 20; i++) {
        JsonObject body = bodies.get(i);
        String id = "stream-" + i;
        CompletableFuture<VllmAnswer> answer = new CompletableFuture<>();
        asked.add(answer);
        var _ = threads.submit(() -> answer.complete(router.ask(COMPLETIONS, body, id)));
      }
      for (int i = 0; i < 20; i++) {
        VllmAnswer answer =
            asked.get(i).orTimeout(120, java.util.concurrent.TimeUnit.SECONDS).join();
        assertThat(answer.says(expected.get(i)))
            .as("%s instead of %s", answer, expected.get(i))
            .isTrue();
        equal++;
        tokens += answer.completionTokens();
      }
    }
    long read = engines.bytesRead(engines.decode(), before + predicted) - before;
    ROWS.add(
        "| %d streams at once | 20 to 723 | %d | %d of 20 | %d | %d |"
            .formatted(asked.size(), tokens, equal, predicted, read));
    assertThat(read).isEqualTo(predicted);
  }
}
