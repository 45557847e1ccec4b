package dev.millrace.router.http;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.Tuple;

/** The scan beside Jackson's parser: what one takes the other takes, and both find the same. */
final class JsonScanPropertyTest {
  private static final JsonFactory JACKSON = new JsonFactory();

  private record Seen(
      String name, JsonToken kind, int nameStart, int valueStart, int valueEnd, String spelling) {}

  private static List<Seen> scanned(byte[] text) throws IOException {
    List<Seen> seen = new ArrayList<>();
    RootObject root = RootObject.open(text, 0, text.length);
    while (root.next()) {
      seen.add(
          new Seen(
              root.name(),
              root.kind(),
              root.nameStart(),
              root.valueStart(),
              root.valueEnd(),
              root.spelling()));
    }
    return seen;
  }

  private static List<Seen> parsed(byte[] text) throws IOException {
    List<Seen> seen = new ArrayList<>();
    try (JsonParser parser = JACKSON.createParser(text)) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        throw new IOException("no object");
      }
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String name = parser.currentName();
        int nameStart = (int) parser.currentTokenLocation().getByteOffset();
        JsonToken kind = parser.nextToken();
        int start = (int) parser.currentTokenLocation().getByteOffset();
        parser.skipChildren();
        parser.finishToken();
        int end = (int) parser.currentLocation().getByteOffset();
        String spelling = new String(text, start, end - start, StandardCharsets.UTF_8);
        seen.add(new Seen(name, kind, nameStart, start, end, spelling));
      }
      if (parser.currentToken() != JsonToken.END_OBJECT || parser.nextToken() != null) {
        throw new IOException("no end");
      }
      return seen;
    }
  }

  private static void assertSame(byte[] text) {
    List<Seen> expected = null;
    try {
      expected = parsed(text);
    } catch (IOException | IllegalStateException e) {
      // Refused.
    }
    List<Seen> actual = null;
    String why = "";
    try {
      actual = scanned(text);
    } catch (IOException e) {
      why = e.getMessage();
    }
    assertThat(actual)
        .as("%s; refused because %s", new String(text, StandardCharsets.ISO_8859_1), why)
        .isEqualTo(expected);
  }

  @Property(tries = 3000)
  void wellFormedObjects(@ForAll("objects") String text) {
    assertSame(text.getBytes(StandardCharsets.UTF_8));
  }

  /** One byte is another one: mostly it is no JSON any more. */
  @Property(tries = 6000)
  void damagedObjects(
      @ForAll("objects") String text, @ForAll int place, @ForAll("damage") byte other) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    bytes[Math.floorMod(place, bytes.length)] = other;
    assertSame(bytes);
  }

  @Property(tries = 1000)
  void objectsThatBreakOff(@ForAll("objects") String text, @ForAll int place) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    assertSame(Arrays.copyOf(bytes, 1 + Math.floorMod(place, bytes.length)));
  }

  @Provide
  Arbitrary<Byte> damage() {
    String telling = "\"\\{}[],: \n\t-+.e01unt/\u001f\u007f\u0080\u00bf\u00c3\u00e2\u00f0\u00f8";
    return Arbitraries.chars().with(telling.toCharArray()).map(c -> (byte) c.charValue());
  }

  @Provide
  Arbitrary<String> objects() {
    return values(3)
        .list()
        .ofMaxSize(5)
        .flatMap(values ->
            names()
                .list()
                .ofSize(values.size())
                .flatMap(names -> space().map(space -> object(names, values, space))));
  }

  private static String object(List<String> names, List<String> values, String space) {
    StringBuilder text = new StringBuilder(space).append('{').append(space);
    for (int i = 0; i < names.size(); i++) {
      text.append(i == 0 ? "" : "," + space).append(names.get(i)).append(space).append(':');
      text.append(space).append(values.get(i)).append(space);
    }
    return text.append('}').append(space).toString();
  }

  private static Arbitrary<String> values(int depth) {
    Arbitrary<String> leaves =
        Arbitraries.oneOf(strings(), numbers(), Arbitraries.of("true", "false", "null"));
    if (depth == 0) {
      return leaves;
    }
    Arbitrary<String> lists =
        values(depth - 1)
            .list()
            .ofMaxSize(3)
            .flatMap(
                all -> space().map(space -> "[" + space + String.join(space + ",", all) + "]"));
    Arbitrary<String> objects =
        values(depth - 1)
            .list()
            .ofMaxSize(3)
            .flatMap(all ->
                space()
                    .map(space -> object(all.stream().map(value -> "\"k\"").toList(), all, space)));
    return Arbitraries.frequencyOf(Tuple.of(3, leaves), Tuple.of(1, lists), Tuple.of(1, objects));
  }

  private static Arbitrary<String> space() {
    return Arbitraries.of("", "", " ", "\n", "\r\n\t ");
  }

  private static Arbitrary<String> numbers() {
    return Arbitraries.of(
        "0",
        "-0",
        "1",
        "-12",
        "123456789012345678901234567890",
        "0.5",
        "-10.25",
        "1e9",
        "2E-7",
        "3.0e+10",
        "1".repeat(1000),
        "1".repeat(1001));
  }

  /** Of names Jackson refuses half a surrogate pair, which engines take. */
  private static Arbitrary<String> names() {
    return strings().map(name -> name.replace("\\ud83d\\ude00", "\\u0041").replace("😀", "é"));
  }

  private static Arbitrary<String> strings() {
    return Arbitraries.of(
            "a",
            "model",
            "0123456789",
            " ",
            "é",
            "€",
            "😀",
            "\\\"",
            "\\\\",
            "\\/",
            "\\n",
            "\\u00e9",
            "\\ud83d\\ude00",
            "\u007f",
            "{",
            "]",
            ":",
            ",",
            "'")
        .list()
        .ofMaxSize(12)
        .map(parts -> '"' + String.join("", parts) + '"');
  }

  @Example
  void depth_isBoundedAsJacksonsIs() {
    for (int depth = 998; depth <= 1001; depth++) {
      assertSame(
          ("{\"a\":" + "[".repeat(depth) + "]".repeat(depth) + "}")
              .getBytes(StandardCharsets.UTF_8));
      assertSame(
          ("{\"a\":" + "{\"b\":".repeat(depth) + "1" + "}".repeat(depth) + "}")
              .getBytes(StandardCharsets.UTF_8));
    }
  }
}
