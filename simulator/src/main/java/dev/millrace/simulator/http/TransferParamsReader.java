package dev.millrace.simulator.http;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import dev.millrace.simulator.core.TransferParams;
import dev.millrace.simulator.model.Tokens;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Reads {@code kv_transfer_params}. What a real engine survives and what it does not is as recorded
 * with vLLM 0.32.0: block lists that are missing, empty or flat and a missing request id end it.
 */
final class TransferParamsReader {
  private boolean remoteDecode;
  private boolean remotePrefill;
  private @Nullable String engineId;
  private @Nullable String requestId;
  private @Nullable String host;
  private int port;
  private int tensorParallel = 1;
  private int tokens;
  private int cachedTokens;
  private List<List<Integer>> blockIds = List.of();
  private @Nullable Tokens promptTokenIds;
  private @Nullable String blocksFault = "remote_block_ids is missing";

  private TransferParamsReader() {}

  /**
   * What an object says.
   *
   * @param params what to do with blocks
   * @param promptTokenIds what the prefill engine made of a chat; null if that is not said, empty
   *     if it is no list of token ids
   */
  record Said(TransferParams params, @Nullable Tokens promptTokenIds) {}

  /** Reads the value that the parser stands on, to its end. */
  static Said read(JsonParser parser) throws IOException {
    if (parser.currentToken() != JsonToken.START_OBJECT) {
      parser.skipChildren();
      return new Said(new TransferParams.None(), null);
    }
    TransferParamsReader reader = new TransferParamsReader();
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      String key = parser.currentName();
      parser.nextToken();
      reader.value(key, parser);
      parser.skipChildren();
    }
    return new Said(reader.params(), reader.promptTokenIds);
  }

  private void value(String key, JsonParser parser) throws IOException {
    switch (key) {
      case "do_remote_decode" -> remoteDecode = parser.getValueAsBoolean();
      case "do_remote_prefill" -> remotePrefill = parser.getValueAsBoolean();
      case "remote_engine_id" -> engineId = parser.getValueAsString();
      case "remote_request_id" -> requestId = parser.getValueAsString();
      case "remote_host" -> host = parser.getValueAsString();
      case "remote_port" -> port = parser.getValueAsInt();
      case "tp_size" ->
          tensorParallel =
              parser.currentToken() == JsonToken.VALUE_NULL ? 1 : parser.getValueAsInt(1);
      case "remote_num_tokens" -> tokens = parser.getValueAsInt();
      case "remote_prefill_cached_tokens" -> cachedTokens = parser.getValueAsInt();
      case "remote_block_ids" -> blocks(parser);
      case "prompt_token_ids" -> promptTokenIds(parser);
      default -> parser.skipChildren();
    }
  }

  private void promptTokenIds(JsonParser parser) throws IOException {
    if (parser.currentToken() == JsonToken.VALUE_NULL) {
      return;
    }
    if (parser.currentToken() != JsonToken.START_ARRAY) {
      promptTokenIds = Tokens.of();
      return;
    }
    IntStream.Builder ids = IntStream.builder();
    boolean sound = true;
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      if (parser.currentToken() == JsonToken.VALUE_NUMBER_INT && parser.getIntValue() >= 0) {
        ids.add(parser.getIntValue());
      } else {
        sound = false;
        parser.skipChildren();
      }
    }
    promptTokenIds = sound ? Tokens.of(ids.build().toArray()) : Tokens.of();
  }

  private void blocks(JsonParser parser) throws IOException {
    if (parser.currentToken() != JsonToken.START_ARRAY) {
      parser.skipChildren();
      return;
    }
    List<List<Integer>> groups = new ArrayList<>();
    blocksFault = null;
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      if (parser.currentToken() != JsonToken.START_ARRAY) {
        blocksFault = "remote_block_ids is a flat list";
        parser.skipChildren();
        continue;
      }
      List<Integer> group = new ArrayList<>();
      while (parser.nextToken() != JsonToken.END_ARRAY) {
        if (parser.currentToken() == JsonToken.VALUE_NUMBER_INT) {
          group.add(parser.getIntValue());
        } else {
          blocksFault = "remote_block_ids contains something that is no block id";
          parser.skipChildren();
        }
      }
      groups.add(group);
    }
    if (blocksFault == null && groups.stream().allMatch(List::isEmpty)) {
      blocksFault = "remote_block_ids is empty";
    }
    blockIds = groups;
  }

  private TransferParams params() {
    if (remotePrefill) {
      if (blocksFault != null) {
        return new TransferParams.Fatal(blocksFault);
      }
      if (requestId == null || engineId == null || host == null || port == 0) {
        return new TransferParams.Fatal(
            "remote_request_id, remote_engine_id, remote_host or remote_port is missing");
      }
      return new TransferParams.RemotePrefill(
          engineId, requestId, host, port, tensorParallel, blockIds, tokens, cachedTokens);
    }
    return remoteDecode ? new TransferParams.RemoteDecode() : new TransferParams.None();
  }
}
