package dev.millrace.router.handoff;

import dev.millrace.router.http.Api;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.json.Json;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/**
 * A request that names blocks and must be refused, with {@code min_tokens} above {@code
 * max_tokens}: vLLM 0.32.0 answers 400 and tells the prefill engine to free the blocks.
 */
public final class RefusedRequest {
  private RefusedRequest() {}

  /** The endpoint to send it to: one that takes {@code min_tokens}, like the client's if may be. */
  public static Api api(Api asked) {
    return asked == Api.CHAT_COMPLETIONS ? asked : Api.COMPLETIONS;
  }

  /** Its body. */
  public static Buffer body(Api api, String model, Buffer parameters) {
    String prompt =
        switch (api) {
          case CHAT_COMPLETIONS -> "\"messages\":[{\"role\":\"user\",\"content\":\"-\"}]";
          default -> "\"prompt\":\"-\"";
        };
    String head =
        "{\"model\":"
            + Json.encode(model)
            + ","
            + prompt
            + ",\"max_tokens\":1,\"min_tokens\":2,\"kv_transfer_params\":";
    return Buffer.buffer(head.length() + parameters.length() + 1)
        .appendBytes(head.getBytes(StandardCharsets.UTF_8))
        .appendBuffer(parameters)
        .appendByte((byte) '}');
  }

  /**
   * Whether vLLM has told the prefill engine to free the blocks of a request that it answered so.
   * What is refused before vLLM looks at the request, such as a wrong key, frees nothing.
   */
  public static boolean freesBlocks(int status) {
    return status == 400;
  }

  /** What came of the blocks that such a request named, if its answer says that. */
  public static Optional<Outcome> outcome(int status) {
    if (freesBlocks(status)) {
      return Optional.of(new Outcome.Released(Outcome.By.REFUSED_REQUEST));
    }
    return status == 200 ? Optional.of(new Outcome.Consumed()) : Optional.empty();
  }
}
