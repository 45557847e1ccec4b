package dev.millrace.transfer.agent;

import java.util.List;

/**
 * Blocks that a prefill engine holds for one request.
 *
 * @param engine who holds them
 * @param requestId {@code remote_request_id}
 * @param blockIds {@code remote_block_ids}, per KV-cache group; may be empty where nothing is read
 * @param tokens {@code remote_num_tokens}
 */
public record HandOff(
    RemoteEngine engine, String requestId, List<List<Integer>> blockIds, int tokens) {
  private static final int LONGEST_ID = 256;

  public HandOff {
    blockIds = blockIds.stream().map(List::copyOf).toList();
    // vLLM splits heartbeats at commas and cuts notifications at their last colon (v0.32.0).
    if (requestId.isBlank() || requestId.length() > LONGEST_ID || requestId.indexOf(',') >= 0) {
      throw new AgentRefusal(
          Reason.INVALID, "a request id has 1 to %d characters and no comma".formatted(LONGEST_ID));
    }
    if (tokens < 0) {
      throw new AgentRefusal(Reason.INVALID, "a hand-off of %d tokens".formatted(tokens));
    }
  }
}
