package dev.millrace.router.http;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The field {@code model} of a {@code multipart/form-data} body (RFC 7578), in which audio is sent.
 *
 * @param name its value
 * @param from where that begins in the body
 * @param to where it ends
 */
public record FormModel(String name, int from, int to) {
  private static final Pattern BOUNDARY =
      Pattern.compile(
          "(?i)multipart/form-data\\s*;.*?\\bboundary=(?:\"([^\"]{1,70})\"|([^;\\s]{1,70})).*");
  private static final Pattern NAMED_MODEL =
      Pattern.compile(
          "(?is).*content-disposition:\\s*form-data\\s*;[^\r\n]*\\bname=\"?model\"?(?:[;\r\n].*|\\s*)");
  private static final int LONGEST_HEAD = 4096;
  private static final int LONGEST_MODEL = 1024;
  private static final byte[] BLANK_LINE = {'\r', '\n', '\r', '\n'};

  /** Whether a body of this type is a form. */
  public static boolean isForm(String contentType) {
    return BOUNDARY.matcher(contentType).matches();
  }

  /** The field; empty if there is none. */
  public static Optional<FormModel> find(String contentType, byte[] body, int length) {
    Matcher matcher = BOUNDARY.matcher(contentType);
    if (!matcher.matches()) {
      return Optional.empty();
    }
    String boundary = matcher.group(1) != null ? matcher.group(1) : matcher.group(2);
    byte[] delimiter = ("--" + boundary).getBytes(StandardCharsets.ISO_8859_1);
    int part = indexOf(body, 0, length, delimiter);
    while (part >= 0) {
      int head = part + delimiter.length;
      int next = indexOf(body, head, length, delimiter);
      int end = next < 0 ? length : next;
      int blank = indexOf(body, head, Math.min(end, head + LONGEST_HEAD), BLANK_LINE);
      if (blank >= 0) {
        String text = new String(body, head, blank - head, StandardCharsets.UTF_8);
        int from = blank + BLANK_LINE.length;
        // A line break belongs to the delimiter behind it.
        int to = end - 2;
        if (NAMED_MODEL.matcher(text).matches() && to > from && to - from <= LONGEST_MODEL) {
          String name = new String(body, from, to - from, StandardCharsets.UTF_8);
          return Optional.of(new FormModel(name, from, to));
        }
      }
      part = next;
    }
    return Optional.empty();
  }

  private static int indexOf(byte[] body, int from, int to, byte[] what) {
    for (int at = from; at + what.length <= to; at++) {
      if (body[at] == what[0] && Arrays.equals(body, at, at + what.length, what, 0, what.length)) {
        return at;
      }
    }
    return -1;
  }
}
