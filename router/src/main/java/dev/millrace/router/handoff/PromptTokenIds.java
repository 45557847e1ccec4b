package dev.millrace.router.handoff;

import com.fasterxml.jackson.core.JsonToken;
import dev.millrace.router.http.JsonList;
import dev.millrace.router.http.RootObject;
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

  /** Looks at the member that has the choices. */
  void read(RootObject choices) throws IOException {
    if (choices.kind() != JsonToken.START_ARRAY) {
      return;
    }
    JsonList all = choices.list();
    if (!all.next() || all.kind() != JsonToken.START_OBJECT) {
      return;
    }
    for (RootObject choice = all.object(); choice.next(); ) {
      if (choice.name().equals(KEY) && choice.kind() == JsonToken.START_ARRAY) {
        readIds(choice);
      }
    }
  }

  private void readIds(RootObject member) {
    if (member.list().integers() > 0) {
      from = member.valueStart();
      to = member.valueEnd();
    }
  }

  /** The array in the engine's bytes; null if there is none of integers. */
  @Nullable Buffer found() {
    return to == 0 ? null : BufferInternal.buffer(Unpooled.wrappedBuffer(answer, from, to - from));
  }
}
