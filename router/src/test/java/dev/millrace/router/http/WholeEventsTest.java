package dev.millrace.router.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.vertx.core.buffer.Buffer;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Streams in pieces: whatever has come, a client has whole events of it. */
final class WholeEventsTest {
  private static final String LINE_END = "(?>\r\n|\r|\n)";

  /** A blank line or comment, or an event up to its blank line. */
  private static final Pattern WHOLE =
      Pattern.compile(
          "(?:(?::[^\r\n]*+)?END|[^\r\n:][^\r\n]*+END(?:[^\r\n]++END)*+END)*+"
              .replace("END", LINE_END));

  private static String wholeOf(String beginning) {
    Matcher matcher = WHOLE.matcher(beginning);
    return matcher.lookingAt() ? matcher.group() : "";
  }

  /** Passes pieces and looks at what the client has after each. */
  private static void pass(List<String> pieces) {
    WholeEvents events = new WholeEvents();
    StringBuilder come = new StringBuilder();
    StringBuilder passed = new StringBuilder();
    for (String piece : pieces) {
      come.append(piece);
      passed.append(events.pass(Buffer.buffer(piece)));
      assertThat(passed.toString()).as("of %s", pieces).isEqualTo(wholeOf(come.toString()));
      assertThat(events.isCut()).isFalse();
    }
    assertThat(passed.append(events.rest()).toString()).isEqualTo(come.toString());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "data: 1\n\ndata: 22\n\ndata: [DONE]\n\n",
        "event: a\r\ndata: 1\r\n\r\nevent: b\r\ndata: 2\r\n\r\n",
        "data: 1\r\rdata: 2\rdata: 3\r\r",
        ": hello\n\n: again\ndata: 1\n: within\ndata: 2\n\n",
        "data: 1\r\r\ndata: 2\n\r\n\n\ndata",
        "\n\r\n: no event",
      })
  void events_inThreePiecesCutAnywhere_areWhole(String stream) {
    for (int one = 0; one <= stream.length(); one++) {
      for (int two = one; two <= stream.length(); two++) {
        pass(List.of(stream.substring(0, one), stream.substring(one, two), stream.substring(two)));
      }
    }
    pass(stream.chars().mapToObj(Character::toString).toList());
  }

  @Provide
  Arbitrary<List<String>> pieces() {
    return Arbitraries.strings().withChars("\n\r:d").ofMaxLength(8).list().ofMaxSize(12);
  }

  @Property
  void piecesOfAnything_areWholeEvents(@ForAll("pieces") List<String> pieces) {
    pass(pieces);
  }

  @Test
  void pieceThatEndsWithABlankLine_passesUntouched() {
    WholeEvents events = new WholeEvents();

    for (String text : List.of("data: 1\n\n", "data: 2\r\n\r\n", "data: 3\n\ndata: 4\n\n")) {
      Buffer piece = Buffer.buffer(text);
      assertThat(events.pass(piece)).isSameAs(piece);
    }
  }

  @Test
  void hugeEvent_passesAsItComesOnceItIsTooLargeToBeHeld() {
    WholeEvents events = new WholeEvents();
    String half = "x".repeat(WholeEvents.MOST_HELD_BYTES / 2);

    assertThat(events.pass(Buffer.buffer("data: 1\n\ndata: " + half))).hasToString("data: 1\n\n");
    assertThat(events.pass(Buffer.buffer(half))).hasToString("data: " + half + half);
    assertThat(events.isCut()).isTrue();
    assertThat(events.pass(Buffer.buffer("more"))).hasToString("more");
    assertThat(events.pass(Buffer.buffer("end\n\ndata: 2"))).hasToString("end\n\n");
    assertThat(events.isCut()).isFalse();
    assertThat(events.rest()).hasToString("data: 2");
  }

  @Test
  void hugeBeginningOfAnEvent_passesWithTheEventsBeforeIt() {
    WholeEvents events = new WholeEvents();
    String piece = "data: 1\n\ndata: " + "x".repeat(WholeEvents.MOST_HELD_BYTES);

    assertThat(events.pass(Buffer.buffer(piece))).hasToString(piece);
    assertThat(events.isCut()).isTrue();
    assertThat(events.pass(Buffer.buffer("y\n\n"))).hasToString("y\n\n");
    assertThat(events.isCut()).isFalse();
  }
}
