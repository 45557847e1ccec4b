package dev.millrace.router.handoff;

import io.vertx.core.buffer.Buffer;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a prefill worker's answer says of the blocks that it keeps, in the terms of vLLM's {@code
 * kv_transfer_params} (v0.32.0).
 *
 * @param object the whole object as the worker wrote it, which a decode worker gets
 * @param engineId {@code remote_engine_id}
 * @param requestId {@code remote_request_id}
 * @param host {@code remote_host}, where its side channel listens
 * @param port {@code remote_port}
 * @param tensorParallel {@code tp_size}; 1 where it is not said
 * @param pipelineParallel {@code pp_size}; 1 where it is not said
 * @param tokens {@code remote_num_tokens}; 0 where it is not said
 * @param blocks number of block ids, all KV-cache groups together
 * @param promptTokenIds the prompt as the worker tokenised it, a JSON array; null where it is not
 *     said
 */
public record Pinned(
    Buffer object,
    String engineId,
    String requestId,
    String host,
    int port,
    int tensorParallel,
    int pipelineParallel,
    int tokens,
    int blocks,
    @Nullable Buffer promptTokenIds) {

  /** Where its side channel listens. */
  public String sideChannel() {
    return host + ":" + port;
  }

  /** The same, with what the rest of the answer says of the prompt. */
  Pinned ofPrompt(int usageTokens, @Nullable Buffer ids) {
    return new Pinned(
        object,
        engineId,
        requestId,
        host,
        port,
        tensorParallel,
        pipelineParallel,
        tokens == 0 ? usageTokens : tokens,
        blocks,
        ids);
  }

  /** {@code remote_block_ids}, one list per KV-cache group. */
  public List<List<Integer>> blockIds() {
    JsonArray groups = new JsonObject(object).getJsonArray("remote_block_ids");
    return groups.stream()
        .map(group -> ((JsonArray) group).stream().map(id -> ((Number) id).intValue()).toList())
        .toList();
  }
}
