package dev.millrace.simulator.http;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.millrace.simulator.core.HandOff;
import java.io.IOException;
import java.util.List;

/**
 * Writes {@code kv_transfer_params} as a prefill engine returns them: with the keys, and in the
 * order, of vLLM 0.32.0, less those that an older connector did not have yet.
 */
final class TransferParamsWriter {
  private static final int WITH_TOKENS = 3;
  private static final int WITH_EXPIRY = 5;
  private static final int WITH_TRANSFER_MODE = 7;
  private static final int WITH_PARALLELISM = 8;

  /** The first recorded with it; when it came is not known. */
  private static final int WITH_CACHED_TOKENS = 14;

  private TransferParamsWriter() {}

  static void write(HandOff handOff, JsonGenerator json) throws IOException {
    int version = handOff.release().connector().number();
    json.writeStartObject();
    json.writeBooleanField("do_remote_prefill", true);
    json.writeBooleanField("do_remote_decode", false);
    writeBlocks(handOff.blockIds(), json);
    json.writeStringField("remote_engine_id", handOff.engineId());
    json.writeStringField("remote_request_id", handOff.requestId());
    json.writeStringField("remote_host", handOff.host());
    json.writeNumberField("remote_port", handOff.port());
    json.writeNumberField("tp_size", handOff.tensorParallel());
    if (version >= WITH_PARALLELISM) {
      json.writeNumberField("dcp_size", 1);
      json.writeNumberField("pp_size", 1);
    }
    if (version >= WITH_TOKENS) {
      json.writeNumberField("remote_num_tokens", handOff.tokens());
    }
    if (version >= WITH_EXPIRY) {
      json.writeNullField("remote_blocks_expiry_time");
    }
    if (version >= WITH_TRANSFER_MODE) {
      json.writeStringField("transfer_mode", "pull");
    }
    if (version >= WITH_CACHED_TOKENS) {
      json.writeNumberField("remote_prefill_cached_tokens", handOff.cachedTokens());
    }
    json.writeEndObject();
  }

  private static void writeBlocks(List<List<Integer>> groups, JsonGenerator json)
      throws IOException {
    json.writeArrayFieldStart("remote_block_ids");
    for (List<Integer> group : groups) {
      json.writeStartArray();
      for (int id : group) {
        json.writeNumber(id);
      }
      json.writeEndArray();
    }
    json.writeEndArray();
  }
}
