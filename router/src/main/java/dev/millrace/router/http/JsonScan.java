package dev.millrace.router.http;

import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * Says where the values of a JSON text (RFC 8259) end, and that they are well formed, without
 * decoding them.
 *
 * <p>Of a prompt's hundred kilobytes nearly all are one string in which nothing is of interest but
 * its end. So strings are read eight bytes at a time: in a word {@code w}, the top bit of a byte of
 * {@code (w ^ quotes) - ones} is set if that byte is a quote, of {@code (w ^ backslashes) - ones}
 * if it is a backslash, of {@code w - spaces} if it is a control character, and of {@code w} itself
 * if it belongs to a character of several bytes. The subtractions may borrow, which sets bits that
 * mean nothing, but only above one that does: the lowest is right.
 *
 * <p>It accepts what Jackson's parser accepts with its default constraints: nesting of {@value
 * #MOST_DEPTH}, numbers of {@value #MOST_DIGITS} digits, names of {@value #MOST_NAME_BYTES} bytes,
 * and of UTF-8 the form of each character, not its value.
 */
final class JsonScan {
  static final int MOST_DEPTH = 1000;
  static final int MOST_DIGITS = 1000;
  static final int MOST_NAME_BYTES = 50_000;

  private static final VarHandle WORDS =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
  private static final long ONES = 0x0101010101010101L;
  private static final long QUOTES = '"' * ONES;
  private static final long BACKSLASHES = '\\' * ONES;
  private static final long SPACES = ' ' * ONES;
  private static final long TOP_BITS = ONES << 7;

  private static final int NEAR_BYTES = 16;
  private static final boolean[] SPECIAL = new boolean[256];

  static {
    Arrays.fill(SPECIAL, 0, ' ', true);
    Arrays.fill(SPECIAL, 0x80, 0x100, true);
    SPECIAL['"'] = true;
    SPECIAL['\\'] = true;
  }

  private final byte[] text;
  private final int to;

  /** Whether the container at a depth is an object, a bit each; the root is none of them. */
  private long[] objects = {};

  /** A scan of the bytes up to {@code to}. */
  JsonScan(byte[] text, int to) {
    this.text = text;
    this.to = to;
  }

  /**
   * The next byte that is no white space, at or behind a place; the text's end if there is none.
   */
  int skipWhiteSpace(int from) {
    int at = from;
    while (at < to && isWhiteSpace(text[at])) {
      at++;
    }
    return at;
  }

  private static boolean isWhiteSpace(byte b) {
    return b == ' ' || b == '\n' || b == '\r' || b == '\t';
  }

  /** What kind of value a well-formed one is. */
  static JsonToken kind(byte[] text, int from, int to) {
    return switch (text[from]) {
      case '{' -> JsonToken.START_OBJECT;
      case '[' -> JsonToken.START_ARRAY;
      case '"' -> JsonToken.VALUE_STRING;
      case 't' -> JsonToken.VALUE_TRUE;
      case 'f' -> JsonToken.VALUE_FALSE;
      case 'n' -> JsonToken.VALUE_NULL;
      default ->
          isInteger(text, from, to) ? JsonToken.VALUE_NUMBER_INT : JsonToken.VALUE_NUMBER_FLOAT;
    };
  }

  private static boolean isInteger(byte[] text, int from, int to) {
    for (int at = from; at < to; at++) {
      if (text[at] == '.' || text[at] == 'e' || text[at] == 'E') {
        return false;
      }
    }
    return true;
  }

  /** Where the text ends. */
  int end() {
    return to;
  }

  /** The byte at a place of the text. */
  byte at(int place) throws IOException {
    if (place >= to) {
      throw new IOException("it ends too early");
    }
    return text[place];
  }

  /** From a member's opening quote to the first byte of its value. */
  int nameAndColon(int from) throws IOException {
    if (at(from) != '"') {
      throw unexpected(from, "a member's name in quotes");
    }
    int end = string(from + 1);
    if (end - from > MOST_NAME_BYTES) {
      throw new IOException("a name has more than " + MOST_NAME_BYTES + " bytes");
    }
    int colon = skipWhiteSpace(end);
    if (at(colon) != ':') {
      throw unexpected(colon, "a colon");
    }
    return skipWhiteSpace(colon + 1);
  }

  /**
   * From a value's first byte to behind its last.
   *
   * @param outside how many containers it stands in
   */
  int value(int from, int outside) throws IOException {
    int at = from;
    int depth = 0;
    while (true) {
      byte first = at(at);
      boolean opened = first == '{' || first == '[';
      if (opened) {
        boolean object = first == '{';
        if (outside + depth + 1 > MOST_DEPTH) {
          throw new IOException("it is nested more than " + MOST_DEPTH + " deep");
        }
        at = skipWhiteSpace(at + 1);
        if (at(at) == (object ? '}' : ']')) {
          at++;
        } else {
          push(depth++, object);
          at = object ? nameAndColon(at) : integers(at);
          continue;
        }
      } else {
        at = scalar(first, at);
      }
      // A value has ended; so have those of which it was the last.
      while (depth > 0) {
        at = skipWhiteSpace(at);
        boolean object = isObject(depth - 1);
        byte next = at(at);
        if (next == ',') {
          at = skipWhiteSpace(at + 1);
          at = object ? nameAndColon(at) : integers(at);
          break;
        }
        if (next != (object ? '}' : ']')) {
          throw unexpected(at, "a comma or the end of an object or a list");
        }
        at++;
        depth--;
      }
      if (depth == 0) {
        return at;
      }
    }
  }

  /**
   * From the first byte of an element of a list to that of the last in a row of plain integers with
   * nothing but a comma between them: lists of block and token ids are nothing else.
   */
  private int integers(int from) {
    int start = from;
    int at = from;
    while (at < to && text[at] >= '1' && text[at] <= '9') {
      do {
        at++;
      } while (at < to && text[at] >= '0' && text[at] <= '9');
      if (at - start > MOST_DIGITS || at == to || text[at] != ',') {
        break;
      }
      at++;
      if (at == to || text[at] < '1' || text[at] > '9') {
        break;
      }
      start = at;
    }
    return start;
  }

  private void push(int depth, boolean object) {
    int word = depth >> 6;
    if (word >= objects.length) {
      objects = Arrays.copyOf(objects, Math.max(2, 2 * objects.length));
    }
    long bit = 1L << (depth & 63);
    objects[word] = object ? objects[word] | bit : objects[word] & ~bit;
  }

  private boolean isObject(int depth) {
    return (objects[depth >> 6] >> (depth & 63) & 1) == 1;
  }

  private int scalar(byte first, int at) throws IOException {
    return switch (first) {
      case '"' -> string(at + 1);
      case 't' -> literal("true", at);
      case 'f' -> literal("false", at);
      case 'n' -> literal("null", at);
      case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9' -> number(at);
      default -> throw unexpected(at, "a value");
    };
  }

  private int literal(String word, int at) throws IOException {
    for (int i = 0; i < word.length(); i++) {
      if (at(at + i) != word.charAt(i)) {
        throw unexpected(at, "a value");
      }
    }
    return at + word.length();
  }

  private int number(int from) throws IOException {
    int at = text[from] == '-' ? from + 1 : from;
    int first = at;
    at = digits(at);
    if (text[first] == '0' && at - first > 1) {
      throw unexpected(first, "a number without leading zeros");
    }
    int count = at - first;
    if (at < to && text[at] == '.') {
      int fraction = at + 1;
      at = digits(fraction);
      count += at - fraction;
    }
    if (at < to && (text[at] == 'e' || text[at] == 'E')) {
      int exponent = at + 1;
      if (exponent < to && (text[exponent] == '+' || text[exponent] == '-')) {
        exponent++;
      }
      at = digits(exponent);
      count += at - exponent;
    }
    if (count > MOST_DIGITS) {
      throw new IOException("a number has more than " + MOST_DIGITS + " digits");
    }
    return at;
  }

  /** One digit at least. */
  private int digits(int from) throws IOException {
    int at = from;
    while (at < to && text[at] >= '0' && text[at] <= '9') {
      at++;
    }
    if (at == from) {
      throw at < to ? unexpected(at, "a digit") : new IOException("it ends too early");
    }
    return at;
  }

  /** From behind a string's opening quote to behind its closing one. */
  private int string(int from) throws IOException {
    int at = from;
    while (true) {
      at = nextSpecial(at);
      byte b = at(at);
      if (b == '"') {
        return at + 1;
      } else if (b == '\\') {
        at = at + 1 < to && text[at + 1] == 'n' ? at + 2 : escape(at + 1);
      } else if (b < 0) {
        at = character(at);
      } else {
        throw new IOException(
            "a string has the control character %d at byte %d".formatted((int) b, at));
      }
    }
  }

  /** The next quote, backslash, control character or character of several bytes. */
  private int nextSpecial(int from) {
    int at = from;
    // In source code the next one is near: words pay from some bytes on.
    for (int near = Math.min(to, from + NEAR_BYTES); at < near; at++) {
      if (SPECIAL[text[at] & 0xFF]) {
        return at;
      }
    }
    for (; at <= to - Long.BYTES; at += Long.BYTES) {
      long word = (long) WORDS.get(text, at);
      long special =
          (((word ^ QUOTES) - ONES) | ((word ^ BACKSLASHES) - ONES) | (word - SPACES) | word)
              & TOP_BITS;
      if (special != 0) {
        return at + (Long.numberOfTrailingZeros(special) >> 3);
      }
    }
    while (at < to && !SPECIAL[text[at] & 0xFF]) {
      at++;
    }
    return at;
  }

  /** From behind a backslash to behind what it stands for. */
  private int escape(int at) throws IOException {
    return switch (at(at)) {
      case '"', '\\', '/', 'b', 'f', 'n', 'r', 't' -> at + 1;
      case 'u' -> {
        for (int i = 1; i <= 4; i++) {
          if (Character.digit(at(at + i), 16) < 0) {
            throw unexpected(at + i, "a hexadecimal digit");
          }
        }
        yield at + 5;
      }
      default -> throw unexpected(at, "an escape that there is");
    };
  }

  /** From the first byte of a character of several to behind its last. */
  private int character(int at) throws IOException {
    int first = text[at] & 0xFF;
    int more;
    if ((first & 0xE0) == 0xC0) {
      more = 1;
    } else if ((first & 0xF0) == 0xE0) {
      more = 2;
    } else if ((first & 0xF8) == 0xF0) {
      more = 3;
    } else {
      throw new IOException("it is not UTF-8 at byte " + at);
    }
    for (int i = 1; i <= more; i++) {
      if ((at(at + i) & 0xC0) != 0x80) {
        throw new IOException("it is not UTF-8 at byte " + (at + i));
      }
    }
    return at + 1 + more;
  }

  private IOException unexpected(int at, String instead) {
    byte b = text[at];
    String what = b > ' ' ? "'" + (char) b + "'" : "byte " + (b & 0xFF);
    return new IOException("%s at byte %d, instead of %s".formatted(what, at, instead));
  }
}
