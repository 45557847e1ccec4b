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
 * {@code prompt_token_ids} of an answer: what an engine made of a prompt that was none, said when
 * {@code return_token_ids} is set. A chat's are a member of the answer, a completion's of the first
 * of its {@code choices} (vLLM 0.32.0, {@code ChatCompletionResponse}, {@code
 * CompletionResponseChoice}).
 */
final class PromptTokenIds {
  static final String KEY = "prompt_token_ids";

  private final byte[] answer;
  private int from;
  private int to;

  PromptTokenIds(byte[] answer) {
    this.answer = answer;
  }

  /** Looks at the member that has the choices. */
  void readChoices(RootObject choices) throws IOException {
    if (choices.kind() != JsonToken.START_ARRAY) {
      return;
    }
    JsonList all = choices.list();
    if (!all.next() || all.kind() != JsonToken.START_OBJECT) {
      return;
    }
    for (RootObject choice = all.object(); choice.next(); ) {
      if (choice.name().equals(KEY)) {
        read(choice);
      }
    }
  }

  /** Looks at the member of that name. */
  void read(RootObject member) {
    if (member.kind() == JsonToken.START_ARRAY && member.list().integers() > 0) {
      from = member.valueStart();
      to = member.valueEnd();
    }
  }

  /** The array in the engine's bytes; null if there is none of integers. */
  @Nullable Buffer found() {
    return to == 0 ? null : BufferInternal.buffer(Unpooled.wrappedBuffer(answer, from, to - from));
  }
}
