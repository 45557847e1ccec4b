package dev.millrace.router.http;

import com.fasterxml.jackson.core.JsonToken;
import io.netty.buffer.ByteBuf;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.internal.buffer.BufferInternal;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * How many tokens an exchange has used, as its engine says: {@code usage} of a whole answer, or of
 * the events of a stream that have one. Chat and completions name {@code prompt_tokens} and {@code
 * completion_tokens}, responses and messages {@code input_tokens} and {@code output_tokens}.
 *
 * <p>Streams of chat and completions say it only to clients that ask ({@code
 * stream_options.include_usage}). Where nothing is said, every event counts as a token of the
 * answer, which is what engines send unless several tokens come of one step, and the prompt has as
 * many as were {@linkplain #ofPrompt guessed}.
 *
 * <p>The quoted word cannot stand inside a JSON string, where a quote has a backslash before it. An
 * engine writes an event at once: a usage that comes in two pieces may be missed.
 */
public final class TokenCount {
  /** English text has about four in a token; others have fewer, and so does JSON around it. */
  public static final int BYTES_PER_TOKEN = 4;

  private static final byte[] WORD = "\"usage\"".getBytes(StandardCharsets.US_ASCII);

  /** Of its letters the one that stands least often in a text. */
  private static final int RARE = 4;

  private static final Pattern PROMPT =
      Pattern.compile("\"(?:prompt|input)_tokens\"\\s*:\\s*(\\d{1,9})");
  private static final Pattern ANSWER =
      Pattern.compile("\"(?:completion|output)_tokens\"\\s*:\\s*(\\d{1,9})");

  private final long guessed;
  private long prompt = -1;
  private long answer = -1;
  private long events;
  private boolean afterLineEnd;

  /**
   * Nothing is said yet.
   *
   * @param guessed tokens of the prompt
   */
  public TokenCount(long guessed) {
    this.guessed = guessed;
  }

  /** A guess at the tokens of so many bytes of a prompt. */
  public static long ofPrompt(long bytes) {
    return Math.max(1, (bytes + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN);
  }

  /** Looks at an answer in one piece. */
  public void whole(Buffer body) {
    byte[] bytes = body.getBytes();
    try {
      for (RootObject root = RootObject.open(bytes, 0, bytes.length); root.next(); ) {
        if (root.name().equals("usage") && root.kind() == JsonToken.START_OBJECT) {
          said(root.spelling());
        }
      }
    } catch (IOException e) {
      // No JSON: texts and audio have no usage.
    }
    answer = Math.max(0, answer);
  }

  /** Looks at the next piece of a stream. */
  public void look(Buffer piece) {
    ByteBuf bytes = ((BufferInternal) piece).getByteBuf();
    int end = bytes.writerIndex();
    boolean hasWord = false;
    for (int at = bytes.readerIndex(); at < end; at++) {
      byte next = bytes.getByte(at);
      if (next == '\n') {
        events += afterLineEnd ? 1 : 0;
        afterLineEnd = !afterLineEnd;
      } else if (next != '\r') {
        afterLineEnd = false;
        hasWord |= next == WORD[RARE] && isWord(bytes, at - RARE, end);
      }
    }
    if (hasWord) {
      said(piece.toString(StandardCharsets.UTF_8));
    }
  }

  private static boolean isWord(ByteBuf bytes, int from, int end) {
    if (from < bytes.readerIndex() || from + WORD.length > end) {
      return false;
    }
    for (int i = 0; i < WORD.length; i++) {
      if (bytes.getByte(from + i) != WORD[i]) {
        return false;
      }
    }
    return true;
  }

  /** The last numbers of a kind count: streams may say it again and again as they go on. */
  private void said(String text) {
    prompt = last(PROMPT, text, prompt);
    answer = last(ANSWER, text, answer);
  }

  private static long last(Pattern pattern, String text, long otherwise) {
    long found = otherwise;
    for (Matcher matcher = pattern.matcher(text); matcher.find(); ) {
      found = Long.parseLong(matcher.group(1));
    }
    return found;
  }

  /** Of the prompt. */
  public long prompt() {
    return prompt >= 0 ? prompt : guessed;
  }

  /** Of the answer, as far as it has come. */
  public long answer() {
    return answer >= 0 ? answer : events;
  }
}
