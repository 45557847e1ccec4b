package dev.millrace.router.http;

import com.fasterxml.jackson.core.JsonToken;
import io.vertx.core.buffer.Buffer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Optional;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The id that an engine gives a response, in its answer. One that could not stand in a path as it
 * is counts as none.
 */
public final class ResponseId {
  private static final Pattern PLAIN = Pattern.compile("[A-Za-z0-9_-]{1,128}");
  private static final byte[] DATA = "data:".getBytes(StandardCharsets.US_ASCII);

  private ResponseId() {}

  /** Of an answer in one piece. */
  public static Optional<String> ofWhole(Buffer answer) {
    byte[] text = answer.getBytes();
    try {
      return plain(member(RootObject.open(text, 0, text.length), "id"));
    } catch (IOException notOne) {
      return Optional.empty();
    }
  }

  /** Of the beginning of a stream, whose first event announces the response. */
  public static Optional<String> ofStream(Buffer head) {
    byte[] text = head.getBytes();
    int from = data(text);
    if (from < 0) {
      return Optional.empty();
    }
    try {
      RootObject event = member(RootObject.open(text, from, endOfLine(text, from)), "response");
      return event == null || event.kind() != JsonToken.START_OBJECT
          ? Optional.empty()
          : plain(member(event.object(), "id"));
    } catch (IOException notOne) {
      return Optional.empty();
    }
  }

  /** An object that has been walked up to a member; null if it has none of that name. */
  private static @Nullable RootObject member(RootObject object, String name) throws IOException {
    while (object.next()) {
      if (object.name().equals(name)) {
        return object;
      }
    }
    return null;
  }

  private static Optional<String> plain(@Nullable RootObject member) throws IOException {
    return member == null || member.kind() != JsonToken.VALUE_STRING
        ? Optional.empty()
        : Optional.of(member.string()).filter(id -> PLAIN.matcher(id).matches());
  }

  /** Where the data of the first event begins, or -1. */
  private static int data(byte[] text) {
    for (int at = 0; at < text.length; at = endOfLine(text, at) + 1) {
      int end = Math.min(text.length, at + DATA.length);
      if (Arrays.equals(text, at, end, DATA, 0, DATA.length)) {
        return end;
      }
    }
    return -1;
  }

  private static int endOfLine(byte[] text, int from) {
    int at = from;
    while (at < text.length && text[at] != '\n' && text[at] != '\r') {
      at++;
    }
    return at;
  }
}
