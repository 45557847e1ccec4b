package dev.millrace.router.handoff;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import io.netty.buffer.Unpooled;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.internal.buffer.BufferInternal;
import java.io.IOException;
import org.jspecify.annotations.Nullable;

/**
 * {@code prompt_token_ids} of the first of an answer's {@code choices}: what an engine made of a
 * prompt that was a text, said when {@code return_token_ids} is set (vLLM 0.32.0, {@code
 * CompletionResponseChoice}).
 */
final class PromptTokenIds {
  private static final String KEY = "prompt_token_ids";

  private final byte[] answer;
  private int from;
  private int to;

  PromptTokenIds(byte[] answer) {
    this.answer = answer;
  }

  /** Moves from the first token of the choices to the last. */
  void read(JsonParser parser) throws IOException {
    if (parser.currentToken() != JsonToken.START_ARRAY) {
      return;
    }
    boolean first = true;
    for (JsonToken choice = parser.nextToken();
        choice != JsonToken.END_ARRAY && choice != null;
        choice = parser.nextToken()) {
      if (first && choice == JsonToken.START_OBJECT) {
        readChoice(parser);
      }
      first = false;
      parser.skipChildren();
    }
  }

  private void readChoice(JsonParser parser) throws IOException {
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      boolean asked = parser.currentName().equals(KEY);
      JsonToken value = parser.nextToken();
      if (asked && value == JsonToken.START_ARRAY) {
        readIds(parser);
      }
      parser.skipChildren();
    }
  }

  private void readIds(JsonParser parser) throws IOException {
    int start = (int) parser.currentTokenLocation().getByteOffset();
    boolean whole = true;
    int count = 0;
    for (JsonToken id = parser.nextToken();
        id != JsonToken.END_ARRAY && id != null;
        id = parser.nextToken()) {
      whole &= id == JsonToken.VALUE_NUMBER_INT;
      count++;
      parser.skipChildren();
    }
    if (whole && count > 0) {
      from = start;
      to = (int) parser.currentLocation().getByteOffset();
    }
  }

  /** The array in the engine's bytes; null if there is none of integers. */
  @Nullable Buffer found() {
    return to == 0 ? null : BufferInternal.buffer(Unpooled.copiedBuffer(answer, from, to - from));
  }
}
