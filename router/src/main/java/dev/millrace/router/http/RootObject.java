package dev.millrace.router.http;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.nio.charset.StandardCharsets;

/**
 * The members of the object at the root of a JSON text, one after the other, as byte offsets.
 *
 * <p>The text is validated as it is walked: {@link #next} returns false only after a well-formed
 * object with nothing but white space behind it. What is not wanted is skipped, not decoded. Texts
 * are UTF-8 alone, so that offsets are offsets into the bytes: a byte order mark and other
 * encodings are refused at once.
 */
public final class RootObject {
  /** Names are shared between parsers by a bounded table, and never with the JVM's own. */
  private static final JsonFactory JSON =
      JsonFactory.builder().disable(JsonFactory.Feature.INTERN_FIELD_NAMES).build();

  private final byte[] text;
  private final JsonScan scan;
  private int at;
  private int nameStart;
  private int nameEnd;
  private int valueStart;
  private int valueEnd;
  private int ordinal = -1;
  private int closeBrace = -1;

  private RootObject(byte[] text, int openBrace, JsonScan scan) {
    this.text = text;
    this.scan = scan;
    this.at = openBrace + 1;
  }

  /** Opens the bytes {@code [from, to)} of a text. */
  public static RootObject open(byte[] text, int from, int to) throws IOException {
    requireUtf8(text, from, to);
    JsonScan scan = new JsonScan(text, to);
    int brace = scan.skipWhiteSpace(from);
    if (brace >= to || text[brace] != '{') {
      throw new IOException("it is not a JSON object");
    }
    return new RootObject(text, brace, scan);
  }

  private static void requireUtf8(byte[] text, int from, int to) throws IOException {
    if (from >= to) {
      throw new IOException("it is empty");
    }
    for (int at = from; at < Math.min(to, from + 4); at++) {
      if (text[at] == 0) {
        throw new IOException("it is not UTF-8");
      }
    }
    int first = text[from] & 0xFF;
    if (first == 0xEF || first == 0xFE || first == 0xFF) {
      throw new IOException("it begins with a byte order mark or is not UTF-8");
    }
  }

  /** Goes to the next member; false at the end of a text that is all right. */
  public boolean next() throws IOException {
    if (closeBrace >= 0) {
      return false;
    }
    at = scan.skipWhiteSpace(at);
    boolean first = ordinal < 0;
    if (scan.at(at) == '}') {
      end();
      return false;
    }
    if (!first) {
      if (scan.at(at) != ',') {
        throw new IOException("there is no comma before byte " + at);
      }
      at = scan.skipWhiteSpace(at + 1);
    }
    ordinal++;
    nameStart = at;
    valueStart = scan.nameAndColon(at);
    nameEnd = endOfName();
    valueEnd = scan.value(valueStart, 1);
    at = valueEnd;
    return true;
  }

  private void end() throws IOException {
    closeBrace = at;
    int behind = scan.skipWhiteSpace(at + 1);
    if (behind != scan.end()) {
      throw new IOException("there is something behind the object");
    }
  }

  /** Behind the name's closing quote, which is the last one before the value. */
  private int endOfName() {
    int end = valueStart;
    while (text[end - 1] != '"') {
      end--;
    }
    return end;
  }

  /** Name of the member, escapes resolved. */
  public String name() throws IOException {
    return string(text, nameStart, nameEnd);
  }

  /** The value of a member that is a string, escapes resolved. */
  public String string() throws IOException {
    return string(text, valueStart, valueEnd);
  }

  /** Of a string with its quotes; most have neither escapes nor other alphabets. */
  static String string(byte[] text, int from, int to) throws IOException {
    for (int i = from + 1; i < to - 1; i++) {
      if (text[i] == '\\' || text[i] < 0) {
        try (JsonParser parser = JSON.createParser(text, from, to - from)) {
          parser.nextToken();
          return parser.getText();
        }
      }
    }
    return new String(text, from + 1, to - from - 2, StandardCharsets.ISO_8859_1);
  }

  /** What kind of value the member has, by its first token. */
  public JsonToken kind() {
    return JsonScan.kind(text, valueStart, valueEnd);
  }

  /** The value as it is spelt. */
  public String spelling() {
    return new String(text, valueStart, valueEnd - valueStart, StandardCharsets.UTF_8);
  }

  /** A parser of the value alone, at its first token. */
  public JsonParser value() throws IOException {
    JsonParser parser = JSON.createParser(text, valueStart, valueEnd - valueStart);
    parser.nextToken();
    return parser;
  }

  /** The elements of the value, if it is a list. */
  public JsonList list() {
    return JsonList.open(text, valueStart, valueEnd);
  }

  /** The members of the value, if it is an object. */
  public RootObject object() throws IOException {
    return open(text, valueStart, valueEnd);
  }

  /** How many members came before this one. */
  public int ordinal() {
    return ordinal;
  }

  /** Where the name begins, its quote included. */
  public int nameStart() {
    return nameStart;
  }

  /** Where the value begins. */
  public int valueStart() {
    return valueStart;
  }

  /** Where the value ends. */
  public int valueEnd() {
    return valueEnd;
  }

  /** Where the object's closing brace is; known after {@link #next} returned false. */
  public int closeBrace() {
    return closeBrace;
  }
}
