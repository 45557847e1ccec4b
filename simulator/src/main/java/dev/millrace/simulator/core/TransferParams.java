package dev.millrace.simulator.core;

import java.util.List;

/** What a request's {@code kv_transfer_params} ask for. */
public sealed interface TransferParams {

  /** Nothing: the engine does both phases. */
  record None() implements TransferParams {}

  /** Compute the prompt and keep its blocks for a decode engine ({@code do_remote_decode}). */
  record RemoteDecode() implements TransferParams {}

  /**
   * Load the prompt from a prefill engine ({@code do_remote_prefill}).
   *
   * @param engineId {@code remote_engine_id}
   * @param requestId {@code remote_request_id}, under which the blocks are pinned
   * @param host side-channel host
   * @param port side-channel port
   * @param tensorParallel {@code tp_size}, 1 where it is missing as in vLLM
   * @param blockIds {@code remote_block_ids}, per KV-cache group
   * @param tokens {@code remote_num_tokens}, 0 where it is missing
   * @param cachedTokens {@code remote_prefill_cached_tokens}, 0 where it is missing
   */
  record RemotePrefill(
      String engineId,
      String requestId,
      String host,
      int port,
      int tensorParallel,
      List<List<Integer>> blockIds,
      int tokens,
      int cachedTokens)
      implements TransferParams {
    public RemotePrefill {
      blockIds = blockIds.stream().map(List::copyOf).toList();
    }
  }

  /**
   * A remote prefill that ends a real engine (vLLM 0.32.0): an assertion in its core fails, or a
   * key is not there. (A real engine whose request id is missing dies only when the client leaves;
   * this one does not wait for that.)
   *
   * @param reason which rule is broken
   */
  record Fatal(String reason) implements TransferParams {}
}
