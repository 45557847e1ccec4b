package dev.millrace.router.http;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import io.netty.buffer.Unpooled;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.internal.buffer.BufferInternal;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The beginning of a stream of server-sent events, held back until it says something.
 *
 * <p>vLLM answers 200 with its headers before it knows whether the blocks came across. When they
 * did not, an error event follows: at once for completions, after a chunk that only names the role
 * for chat (seen with 0.32.0). A router that passes the first bytes on has promised a 200 that it
 * cannot keep. So events are held until one <em>says something</em>: non-empty text, content,
 * reasoning, refusal, tool call, function call or audio; token ids, log probabilities, a finish
 * reason or a count of generated tokens, of any choice; {@code [DONE]}; or an error. Of the events
 * of responses and messages, which have types, all say something but those that announce what
 * comes.
 *
 * <p>Events are found in bytes as they come, with boundaries anywhere and lines that end with LF,
 * CRLF or CR. At most {@value #MOST_HELD_BYTES} bytes are held; a stream that has said nothing by
 * then is passed on as it is.
 */
public final class StreamHead {
  /** What is held at most. */
  public static final int MOST_HELD_BYTES = 64 << 10;

  /** What the stream has turned out to be so far. */
  public sealed interface Verdict {
    /** Nothing has been said; hold on. */
    record Silent() implements Verdict {}

    /** It says something; pass on what is held and all that follows. */
    record Speaks() implements Verdict {}

    /**
     * It is an error in a stream's clothes.
     *
     * @param status the error's code where that is an HTTP error status, else 502
     * @param body the event's data, which has the form of an error body
     */
    record Fails(int status, Buffer body) implements Verdict {}

    /**
     * It is no stream of an engine.
     *
     * @param what what is wrong with it
     */
    record Garbage(String what) implements Verdict {}
  }

  /** A choice that ends with an error; never leaves this class. */
  private static final class FailedChoice extends IOException {
    private static final long serialVersionUID = 1;

    @Override
    public synchronized Throwable fillInStackTrace() {
      return this;
    }
  }

  private static final Verdict SILENT = new Verdict.Silent();
  private static final Verdict SPEAKS = new Verdict.Speaks();
  private static final byte[] DATA = "data".getBytes(StandardCharsets.US_ASCII);
  private static final byte[] DONE = "[DONE]".getBytes(StandardCharsets.US_ASCII);

  private byte[] held = new byte[1024];
  private int size;
  private int lineStart;
  private int scanned;
  private boolean afterCarriageReturn;
  private int dataFrom = -1;
  private int dataTo;
  private @Nullable ByteArrayOutputStream severalLines;

  /** Takes in the next bytes and judges the events that are complete. */
  public Verdict feed(Buffer chunk) {
    append(chunk);
    Verdict verdict = SILENT;
    while (verdict instanceof Verdict.Silent && scanned < size) {
      byte b = held[scanned++];
      if (afterCarriageReturn) {
        afterCarriageReturn = false;
        if (b == '\n') {
          lineStart = scanned;
          continue;
        }
      }
      if (b == '\n' || b == '\r') {
        afterCarriageReturn = b == '\r';
        verdict = line(lineStart, scanned - 1);
        lineStart = scanned;
      }
    }
    return verdict instanceof Verdict.Silent && size > MOST_HELD_BYTES ? SPEAKS : verdict;
  }

  /** Everything that was fed. The head is done with. */
  public Buffer held() {
    return BufferInternal.buffer(Unpooled.wrappedBuffer(held, 0, size));
  }

  private void append(Buffer chunk) {
    int more = chunk.length();
    if (held.length - size < more) {
      held = Arrays.copyOf(held, Math.max(2 * held.length, size + more));
    }
    chunk.getBytes(held, size);
    size += more;
  }

  private Verdict line(int from, int to) {
    if (from == to) {
      return event();
    }
    if (startsWith(from, to, DATA) && (to == from + 4 || held[from + 4] == ':')) {
      int valueFrom = Math.min(to, from + 5);
      if (valueFrom < to && held[valueFrom] == ' ') {
        valueFrom++;
      }
      data(valueFrom, to);
    }
    return SILENT;
  }

  private void data(int from, int to) {
    if (dataFrom < 0) {
      dataFrom = from;
      dataTo = to;
      return;
    }
    if (severalLines == null) {
      severalLines = new ByteArrayOutputStream();
      severalLines.write(held, dataFrom, dataTo - dataFrom);
    }
    severalLines.write('\n');
    severalLines.write(held, from, to - from);
  }

  private Verdict event() {
    if (dataFrom < 0) {
      return SILENT;
    }
    Verdict verdict;
    if (severalLines == null) {
      verdict = judge(held, dataFrom, dataTo);
    } else {
      byte[] data = severalLines.toByteArray();
      verdict = judge(data, 0, data.length);
    }
    dataFrom = -1;
    severalLines = null;
    return verdict;
  }

  private boolean startsWith(int from, int to, byte[] prefix) {
    return to - from >= prefix.length
        && Arrays.equals(held, from, from + prefix.length, prefix, 0, prefix.length);
  }

  private static Verdict judge(byte[] text, int from, int to) {
    if (Arrays.equals(text, from, to, DONE, 0, DONE.length)) {
      return SPEAKS;
    }
    boolean speaks = false;
    boolean fails = false;
    int status = 502;
    try {
      RootObject root = RootObject.open(text, from, to);
      while (root.next()) {
        switch (root.name()) {
          case "type" -> speaks |= typeSpeaks(root.value());
          case "choices" -> speaks |= choicesSpeak(root.value());
          case "usage" -> speaks |= countsTokens(root.value());
          case "error" -> {
            if (root.kind() != JsonToken.VALUE_NULL) {
              fails = true;
              status = errorStatus(root.value());
            }
          }
          default -> {}
        }
      }
    } catch (FailedChoice e) {
      return new Verdict.Garbage("a stream whose first finish_reason is error");
    } catch (IOException | IllegalStateException e) {
      // A parser throws IllegalStateException when names are made to collide in its table.
      return new Verdict.Garbage("an event's data is not a JSON object");
    }
    if (fails) {
      return new Verdict.Fails(status, Buffer.buffer(Arrays.copyOfRange(text, from, to)));
    }
    return speaks ? SPEAKS : SILENT;
  }

  /** Events of responses and messages have types; these come before anything is said. */
  private static boolean typeSpeaks(JsonParser parser) throws IOException {
    if (parser.currentToken() != JsonToken.VALUE_STRING) {
      return false;
    }
    return switch (parser.getText()) {
      case "response.created",
          "response.queued",
          "response.in_progress",
          "response.output_item.added",
          "response.content_part.added",
          "response.reasoning_part.added",
          "response.reasoning_summary_part.added",
          "message_start",
          "content_block_start",
          "ping",
          "error" ->
          false;
      default -> true;
    };
  }

  private static boolean choicesSpeak(JsonParser parser) throws IOException {
    boolean speaks = false;
    if (parser.currentToken() == JsonToken.START_ARRAY) {
      while (parser.nextToken() == JsonToken.START_OBJECT) {
        speaks |= choiceSpeaks(parser);
      }
    }
    return speaks;
  }

  private static boolean choiceSpeaks(JsonParser parser) throws IOException {
    boolean speaks = false;
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      String name = parser.currentName();
      parser.nextToken();
      switch (name) {
        case "text", "token_ids" -> speaks |= isSomething(parser);
        case "finish_reason" -> {
          if (parser.currentToken() == JsonToken.VALUE_STRING && parser.getText().equals("error")) {
            throw new FailedChoice();
          }
          speaks |= isSomething(parser);
        }
        case "logprobs" -> {
          speaks |= parser.currentToken() != JsonToken.VALUE_NULL;
          parser.skipChildren();
        }
        case "delta", "message" -> speaks |= deltaSpeaks(parser);
        default -> parser.skipChildren();
      }
    }
    return speaks;
  }

  private static boolean deltaSpeaks(JsonParser parser) throws IOException {
    boolean speaks = false;
    if (parser.currentToken() == JsonToken.START_OBJECT) {
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String name = parser.currentName();
        parser.nextToken();
        switch (name) {
          case "content",
              "reasoning",
              "reasoning_content",
              "refusal",
              "tool_calls",
              "function_call",
              "audio" ->
              speaks |= isSomething(parser);
          default -> parser.skipChildren();
        }
      }
    }
    return speaks;
  }

  /** A final count, or one of tokens that were generated; a running count begins with none. */
  private static boolean countsTokens(JsonParser parser) throws IOException {
    boolean counts = false;
    if (parser.currentToken() == JsonToken.START_OBJECT) {
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String name = parser.currentName();
        JsonToken value = parser.nextToken();
        counts |=
            name.equals("completion_tokens")
                && value == JsonToken.VALUE_NUMBER_INT
                && !parser.getText().equals("0");
        parser.skipChildren();
      }
    }
    return counts;
  }

  private static int errorStatus(JsonParser parser) throws IOException {
    int status = 502;
    if (parser.currentToken() == JsonToken.START_OBJECT) {
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String name = parser.currentName();
        parser.nextToken();
        if (name.equals("code")) {
          int code = parser.getValueAsInt(502);
          status = code >= 400 && code <= 599 ? code : 502;
        }
        parser.skipChildren();
      }
    }
    return status;
  }

  /** Whether a value is neither null nor empty; moves to its last token. */
  private static boolean isSomething(JsonParser parser) throws IOException {
    return switch (parser.currentToken()) {
      case VALUE_NULL -> false;
      case VALUE_STRING -> parser.getTextLength() > 0;
      case START_ARRAY, START_OBJECT -> {
        JsonToken first = parser.nextToken();
        for (JsonToken token = first;
            token != JsonToken.END_ARRAY && token != JsonToken.END_OBJECT && token != null;
            token = parser.nextToken()) {
          parser.skipChildren();
        }
        yield first != JsonToken.END_ARRAY && first != JsonToken.END_OBJECT;
      }
      default -> true;
    };
  }
}
