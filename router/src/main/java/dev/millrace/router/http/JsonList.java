package dev.millrace.router.http;

import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.nio.charset.StandardCharsets;

/** The elements of a JSON list that is known to be well formed, one after the other. */
public final class JsonList {
  private final byte[] text;
  private final JsonScan scan;
  private int start;
  private int end;

  private JsonList(byte[] text, int from, int to) {
    this.text = text;
    this.scan = new JsonScan(text, to);
    this.end = from;
  }

  /** Opens the bytes {@code [from, to)} of a text, which hold a list with its brackets. */
  static JsonList open(byte[] text, int from, int to) {
    return new JsonList(text, from, to);
  }

  /** Goes to the next element; false at the list's end. */
  public boolean next() throws IOException {
    // What stands here is the opening bracket, or whatever is behind an element.
    int at = scan.skipWhiteSpace(end);
    if (text[at] == ']') {
      return false;
    }
    at = scan.skipWhiteSpace(at + 1);
    if (text[at] == ']') {
      end = at;
      return false;
    }
    start = at;
    end = scan.value(at, 0);
    return true;
  }

  /** How many elements there are if each is an integer; -1 if one is something else. */
  public int integers() {
    int commas = 0;
    boolean empty = true;
    // What is no integer has a byte by which it is seen, for the text is well formed.
    for (int at = end + 1; ; at++) {
      byte b = text[at];
      if ((b >= '0' && b <= '9') || b == '-') {
        empty = false;
      } else if (b == ',') {
        commas++;
      } else if (b == ']') {
        return empty ? 0 : commas + 1;
      } else if (b > ' ') {
        return -1;
      }
    }
  }

  /** What kind of value the element is, by its first token. */
  public JsonToken kind() {
    return JsonScan.kind(text, start, end);
  }

  /** Where the element begins. */
  public int start() {
    return start;
  }

  /** Where the element ends. */
  public int end() {
    return end;
  }

  /** The element as it is spelt. */
  public String spelling() {
    return new String(text, start, end - start, StandardCharsets.UTF_8);
  }

  /** The value of an element that is a string, escapes resolved. */
  public String string() throws IOException {
    return RootObject.string(text, start, end);
  }

  /** The element's own elements, if it is a list. */
  public JsonList list() {
    return open(text, start, end);
  }

  /** The element's members, if it is an object. */
  public RootObject object() throws IOException {
    return RootObject.open(text, start, end);
  }
}
