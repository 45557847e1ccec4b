package dev.millrace.router.http;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;

/**
 * The members of the object at the root of a JSON text, one after the other, as byte offsets.
 *
 * <p>The text is validated as it is walked: {@link #next} returns false only after a well-formed
 * object with nothing but white space behind it. What is not wanted is skipped, not decoded. The
 * parser works on UTF-8 alone, so that offsets are offsets into the bytes: a byte order mark and
 * other encodings are refused before it is asked.
 *
 * <p>Call {@link #valueEnd} exactly once per member, after looking at the value.
 */
public final class RootObject implements AutoCloseable {
  /** Names are shared between parsers by a bounded table, and never with the JVM's own. */
  private static final JsonFactory JSON =
      JsonFactory.builder().disable(JsonFactory.Feature.INTERN_FIELD_NAMES).build();

  private final JsonParser parser;
  private final int base;
  private int nameStart;
  private int valueStart;
  private int ordinal = -1;
  private int closeBrace = -1;

  private RootObject(JsonParser parser, int base) {
    this.parser = parser;
    this.base = base;
  }

  /** Opens the bytes {@code [from, to)} of a text. */
  public static RootObject open(byte[] text, int from, int to) throws IOException {
    requireUtf8(text, from, to);
    RootObject root = new RootObject(JSON.createParser(text, from, to - from), from);
    if (root.parser.nextToken() != JsonToken.START_OBJECT) {
      root.close();
      throw new IOException("it is not a JSON object");
    }
    return root;
  }

  /** The parser would take a text in UTF-16 or UTF-32 and count characters instead of bytes. */
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
    JsonToken token = parser.nextToken();
    if (token == JsonToken.END_OBJECT) {
      closeBrace = offset(parser.currentTokenLocation().getByteOffset());
      if (parser.nextToken() != null) {
        throw new IOException("there is something behind the object");
      }
      return false;
    }
    if (token != JsonToken.FIELD_NAME) {
      throw new IOException("it ends in the middle of the object");
    }
    ordinal++;
    nameStart = offset(parser.currentTokenLocation().getByteOffset());
    parser.nextToken();
    valueStart = offset(parser.currentTokenLocation().getByteOffset());
    return true;
  }

  /** Name of the member, escapes resolved. */
  public String name() throws IOException {
    return parser.currentName();
  }

  /** What kind of value the member has, by its first token. */
  public JsonToken kind() {
    return parser.currentToken();
  }

  /** The parser, at the first token of the value; it may be moved up to the value's last token. */
  public JsonParser value() {
    return parser;
  }

  /** Skips what is left of the value and says where it ends. */
  public int valueEnd() throws IOException {
    parser.skipChildren();
    parser.finishToken();
    return offset(parser.currentLocation().getByteOffset());
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

  /** Where the object's closing brace is; known after {@link #next} returned false. */
  public int closeBrace() {
    return closeBrace;
  }

  @Override
  public void close() throws IOException {
    parser.close();
  }

  private int offset(long bytes) {
    return base + Math.toIntExact(bytes);
  }
}
