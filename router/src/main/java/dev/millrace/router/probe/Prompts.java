package dev.millrace.router.probe;

import io.vertx.core.buffer.Buffer;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.util.List;
import java.util.Optional;

/**
 * Bodies of the router's own requests, on {@code /v1/completions} with token ids: no template, no
 * tokenizer, and as many tokens as are wanted.
 */
public final class Prompts {
  private Prompts() {}

  /** A prompt to be computed and held for a decode engine. */
  public static Buffer prefill(String model, List<Integer> tokens) {
    return completion(model, tokens)
        .put(
            "kv_transfer_params",
            new JsonObject()
                .put("do_remote_decode", true)
                .put("do_remote_prefill", false)
                .putNull("remote_engine_id")
                .putNull("remote_block_ids")
                .putNull("remote_host")
                .putNull("remote_port"))
        .toBuffer();
  }

  /**
   * A prompt of whose answer the first token is wanted, greedily, with the likeliest others.
   *
   * @param parameters of blocks that hold the prompt, verbatim
   */
  public static Buffer firstToken(String model, List<Integer> tokens, Optional<Buffer> parameters) {
    return first(completion(model, tokens).put("logprobs", 5), parameters);
  }

  /** The same for an engine that gives no log probabilities. */
  public static Buffer bareFirstToken(
      String model, List<Integer> tokens, Optional<Buffer> parameters) {
    return first(completion(model, tokens), parameters);
  }

  private static Buffer first(JsonObject body, Optional<Buffer> parameters) {
    parameters.ifPresent(object -> body.put("kv_transfer_params", new JsonObject(object)));
    return body.toBuffer();
  }

  private static JsonObject completion(String model, List<Integer> tokens) {
    return new JsonObject()
        .put("model", model)
        .put("prompt", new JsonArray(tokens))
        .put("max_tokens", 1)
        .put("temperature", 0)
        .put("stream", false);
  }
}
