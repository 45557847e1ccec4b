package dev.millrace.router.handoff;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import dev.millrace.router.handoff.Parameters.Found;
import io.vertx.core.buffer.Buffer;
import java.io.IOException;
import org.jspecify.annotations.Nullable;

/** One pass over {@code kv_transfer_params}, and whether a decode engine would survive them. */
final class PinnedScan {
  /** Bounds what a garbled answer can make of a number. */
  private static final int MOST = 1 << 24;

  private boolean object;
  private boolean remotePrefill;
  private boolean nested = true;
  private int blocks;
  private @Nullable String engineId;
  private @Nullable String requestId;
  private @Nullable String host;
  private int port;
  private int tensorParallel = 1;
  private int pipelineParallel = 1;
  private int tokens;

  /** Moves from the object's first to its last token. */
  void read(JsonParser parser) throws IOException {
    object = parser.currentToken() == JsonToken.START_OBJECT;
    if (!object) {
      return;
    }
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      String name = parser.currentName();
      JsonToken value = parser.nextToken();
      switch (name) {
        case "do_remote_prefill" -> remotePrefill = value == JsonToken.VALUE_TRUE;
        case "remote_block_ids" -> blockIds(parser);
        case "remote_engine_id" -> engineId = text(parser);
        case "remote_request_id" -> requestId = text(parser);
        case "remote_host" -> host = text(parser);
        case "remote_port" -> port = number(parser, 0);
        case "tp_size" -> tensorParallel = number(parser, 1);
        case "pp_size" -> pipelineParallel = number(parser, 1);
        case "remote_num_tokens" -> tokens = number(parser, 0);
        default -> {}
      }
      parser.skipChildren();
    }
  }

  /** {@code prompt_tokens} of an answer's {@code usage}; 0 if it says none. */
  static int promptTokens(JsonParser parser) throws IOException {
    int tokens = 0;
    if (parser.currentToken() != JsonToken.START_OBJECT) {
      return tokens;
    }
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      boolean asked = parser.currentName().equals("prompt_tokens");
      parser.nextToken();
      if (asked) {
        tokens = number(parser, 0);
      }
      parser.skipChildren();
    }
    return tokens;
  }

  /** A list of lists of integers. Moves to its last token. */
  private void blockIds(JsonParser parser) throws IOException {
    nested = parser.currentToken() == JsonToken.START_ARRAY;
    if (!nested) {
      return;
    }
    for (JsonToken group = parser.nextToken();
        group != JsonToken.END_ARRAY && group != null;
        group = parser.nextToken()) {
      if (group != JsonToken.START_ARRAY) {
        nested = false;
        parser.skipChildren();
        continue;
      }
      for (JsonToken id = parser.nextToken();
          id != JsonToken.END_ARRAY && id != null;
          id = parser.nextToken()) {
        nested &= id == JsonToken.VALUE_NUMBER_INT;
        blocks++;
        parser.skipChildren();
      }
    }
  }

  private static @Nullable String text(JsonParser parser) throws IOException {
    return parser.currentToken() == JsonToken.VALUE_STRING && parser.getTextLength() > 0
        ? parser.getText()
        : null;
  }

  private static int number(JsonParser parser, int otherwise) throws IOException {
    if (parser.currentToken() != JsonToken.VALUE_NUMBER_INT) {
      return otherwise;
    }
    long value =
        parser.getNumberType() == JsonParser.NumberType.BIG_INTEGER ? -1 : parser.getLongValue();
    return value < 0 || value > MOST ? otherwise : (int) value;
  }

  /**
   * What was found.
   *
   * @param bytes of the object
   */
  Found found(byte[] bytes) {
    if (!object) {
      return new Found.Unfit("they are not an object");
    }
    if (!remotePrefill) {
      return new Found.Unfit("do_remote_prefill is not true");
    }
    if (!nested || blocks == 0) {
      return new Found.Unfit("remote_block_ids names no blocks, or not by KV-cache group");
    }
    if (engineId == null || requestId == null || host == null || port < 1) {
      return new Found.Unfit(
          "remote_engine_id, remote_request_id, remote_host or remote_port is missing");
    }
    return new Found.Blocks(
        new Pinned(
            Buffer.buffer(bytes),
            engineId,
            requestId,
            host,
            port,
            tensorParallel,
            pipelineParallel,
            tokens,
            blocks,
            null));
  }
}
