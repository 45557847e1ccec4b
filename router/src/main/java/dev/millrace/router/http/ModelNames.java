package dev.millrace.router.http;

import com.fasterxml.jackson.core.io.JsonStringEncoder;
import io.vertx.core.MultiMap;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpHeaders;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Gives an answer's model the name again by which its client asked for it, where engines were asked
 * by another one. Of one answer, whole or piece by piece; boundaries may be anywhere.
 *
 * <p>Endpoints have the name at different depths, always as the member {@code "model"}. It is found
 * as its quoted bytes, which cannot stand inside a JSON string, where a quote has a backslash
 * before it. A member {@code model} with another value stays.
 */
public final class ModelNames {
  private static final byte[] KEY = "\"model\"".getBytes(StandardCharsets.US_ASCII);
  private static final byte[] NOTHING = {};

  /** The colon and white space, of which engines write none; who writes more is not waited for. */
  private static final int MOST_WHITE_SPACE = 16;

  private final byte[] engines;
  private final byte[] clients;
  private byte[] held = NOTHING;

  /**
   * For one answer.
   *
   * @param engines the name that engines know
   * @param clients the name that the client gets to see
   */
  ModelNames(String engines, String clients) {
    this.engines = quoted(engines);
    this.clients = quoted(clients);
  }

  /** For one answer; null if both know it by the same name, or the client by none. */
  public static @Nullable ModelNames between(String engines, String clients) {
    return clients.isEmpty() || engines.equals(clients) ? null : new ModelNames(engines, clients);
  }

  /** A name as a JSON string. */
  static byte[] quoted(String name) {
    byte[] inside = JsonStringEncoder.getInstance().quoteAsUTF8(name);
    byte[] all = new byte[inside.length + 2];
    System.arraycopy(inside, 0, all, 1, inside.length);
    all[0] = '"';
    all[all.length - 1] = '"';
    return all;
  }

  /** A whole answer, as the client gets it; what is not JSON, such as audio, stays. */
  public Buffer whole(Buffer answer, MultiMap headers) {
    String type = headers.get(HttpHeaders.CONTENT_TYPE);
    return type != null && type.startsWith("application/json") ? whole(answer) : answer;
  }

  Buffer whole(Buffer answer) {
    Buffer shown = pass(answer);
    return held.length == 0 ? shown : Buffer.buffer().appendBuffer(shown).appendBuffer(rest());
  }

  /** What the client gets of the next piece. */
  public Buffer pass(Buffer piece) {
    byte[] text = joined(held, piece.getBytes());
    Splice splice = new Splice(text, text.length);
    int decided = 0;
    int key = find(text, 0);
    while (key >= 0 && !isUndecided(text, key)) {
      int value = value(text, key + KEY.length);
      decided = key + KEY.length;
      if (same(text, value, engines) == engines.length) {
        decided = value + engines.length;
        splice.replace(value, decided, clients);
      }
      key = find(text, decided);
    }
    int end = key < 0 ? text.length : key;
    held = Arrays.copyOfRange(text, end, text.length);
    return splice.replace(end, text.length, NOTHING).toBuffer();
  }

  /** Whether the next piece decides if the name stands behind what is, or may become, the key. */
  private boolean isUndecided(byte[] text, int key) {
    if (same(text, key, KEY) < KEY.length) {
      return true;
    }
    int value = value(text, key + KEY.length);
    int name = same(text, value, engines);
    return name < engines.length
        && value + name == text.length
        && value - key - KEY.length <= MOST_WHITE_SPACE;
  }

  /** What was held back at the end of a stream, because it might have been the name's beginning. */
  public Buffer rest() {
    Buffer rest = Buffer.buffer(held);
    held = NOTHING;
    return rest;
  }

  /** Where the value of a member begins whose name ends there. */
  private static int value(byte[] text, int from) {
    int at = from;
    while (at < text.length && (text[at] == ':' || text[at] == ' ')) {
      at++;
    }
    return at;
  }

  /** The next key, or what may be the beginning of one at the end. */
  private static int find(byte[] text, int from) {
    for (int at = from; at < text.length; at++) {
      if (text[at] == KEY[0]) {
        int same = same(text, at, KEY);
        if (same == KEY.length || at + same == text.length) {
          return at;
        }
      }
    }
    return -1;
  }

  /** How many of some bytes stand there. */
  private static int same(byte[] text, int from, byte[] some) {
    int same = 0;
    while (same < some.length && from + same < text.length && text[from + same] == some[same]) {
      same++;
    }
    return same;
  }

  private static byte[] joined(byte[] first, byte[] second) {
    if (first.length == 0) {
      return second;
    }
    byte[] both = Arrays.copyOf(first, first.length + second.length);
    System.arraycopy(second, 0, both, first.length, second.length);
    return both;
  }
}
