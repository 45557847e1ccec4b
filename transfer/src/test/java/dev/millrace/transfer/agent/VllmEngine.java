package dev.millrace.transfer.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.ElementType;
import dev.millrace.layout.ModelShape;
import dev.millrace.transfer.sidechannel.ConnectorVersion;
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
import java.util.Optional;

/** A real vLLM engine that {@code load-tests/vllm/vllm.sh up} has started. */
record VllmEngine(URI url, int sideChannel) {
  static final VllmEngine PREFILL = new VllmEngine(URI.create("http://127.0.0.1:28110"), 28210);
  static final VllmEngine DECODE = new VllmEngine(URI.create("http://127.0.0.1:28120"), 28220);

  /** As {@code load-tests/vllm/tiny_model.py} makes it. */
  private static final ModelShape BFLOAT16 = ModelShape.dense(4, 4, 32, ElementType.BFLOAT16);

  private static final ModelShape FLOAT32 = ModelShape.dense(4, 4, 32, ElementType.FLOAT32);

  private static final Duration LONG = Duration.ofSeconds(60);

  private static final HttpClient HTTP =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

  /** Why it cannot be used; empty if it can. */
  String missing() {
    try {
      return get("/health").statusCode() == 200 ? "" : url + " is not healthy";
    } catch (IOException e) {
      return "no engine answers at %s; load-tests/vllm/vllm.sh up starts it".formatted(url);
    }
  }

  /** {@code VLLM_DTYPE=float32} says that it was started so. */
  AgentOptions.SideChannel listing(String nixlVersion) {
    return new AgentOptions.SideChannel(
        "127.0.0.1",
        sideChannel,
        "tiny",
        "float32".equals(System.getenv("VLLM_DTYPE")) ? FLOAT32 : BFLOAT16,
        ConnectorVersion.V14,
        Optional.of(nixlVersion));
  }

  HttpResponse<String> get(String path) throws IOException {
    return send(HttpRequest.newBuilder(url.resolve(path)).timeout(LONG).build());
  }

  private static HttpResponse<String> send(HttpRequest request) throws IOException {
    try {
      return HTTP.send(request, HttpResponse.BodyHandlers.ofString());
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  /** A completion of token ids, greedy, to its full length. */
  HttpResponse<String> complete(List<Integer> prompt, int maxTokens, Optional<JsonObject> params)
      throws IOException {
    JsonObject body =
        new JsonObject()
            .put("model", "tiny")
            .put("prompt", new JsonArray(prompt))
            .put("temperature", 0)
            .put("ignore_eos", true)
            .put("return_token_ids", true)
            .put("max_tokens", maxTokens);
    params.ifPresent(some -> body.put("kv_transfer_params", some));
    return send(
        HttpRequest.newBuilder(url.resolve("/v1/completions"))
            .timeout(LONG)
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(body.encode()))
            .build());
  }

  static JsonArray tokens(HttpResponse<String> answer) {
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    return new JsonObject(answer.body())
        .getJsonArray("choices")
        .getJsonObject(0)
        .getJsonArray("token_ids");
  }

  /** The prefill leg. */
  JsonObject prefill(List<Integer> prompt) throws IOException {
    JsonObject ask =
        new JsonObject()
            .put("do_remote_decode", true)
            .put("do_remote_prefill", false)
            .putNull("remote_engine_id")
            .putNull("remote_block_ids")
            .putNull("remote_host")
            .putNull("remote_port");
    HttpResponse<String> answer = complete(prompt, 1, Optional.of(ask));
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    return new JsonObject(answer.body()).getJsonObject("kv_transfer_params");
  }

  static HandOff handOff(JsonObject params) {
    List<List<Integer>> groups = new ArrayList<>();
    for (Object group : params.getJsonArray("remote_block_ids")) {
      List<Integer> ids = new ArrayList<>();
      ((JsonArray) group).forEach(id -> ids.add((Integer) id));
      groups.add(ids);
    }
    return new HandOff(
        new RemoteEngine(
            params.getString("remote_engine_id"),
            params.getString("remote_host"),
            params.getInteger("remote_port"),
            params.getInteger("tp_size"),
            1),
        params.getString("remote_request_id"),
        groups,
        params.getInteger("remote_num_tokens"));
  }

  /** A prefill leg's parameters, but for what the decode engine is to be told instead. */
  static JsonObject told(JsonObject params, HandOff told) {
    return params
        .copy()
        .put("remote_engine_id", told.engine().engineId())
        .put("remote_request_id", told.requestId())
        .put("remote_host", told.engine().host())
        .put("remote_port", told.engine().port())
        .put("tp_size", told.engine().tensorParallel())
        .put("remote_block_ids", new JsonArray(told.blockIds()));
  }

  /** Sum of the series whose names begin so. */
  double metric(String name) throws IOException {
    return get("/metrics")
        .body()
        .lines()
        .filter(line -> line.startsWith(name))
        .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1)))
        .sum();
  }
}
