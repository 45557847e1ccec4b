package dev.millrace.router.http;

import com.fasterxml.jackson.core.JsonToken;
import io.vertx.core.buffer.Buffer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What a prefill worker's answer says of the prompt itself: its text ({@code echo}) and its log
 * probabilities ({@code prompt_logprobs}, or {@code logprobs} with {@code echo}).
 *
 * <p>A decode worker has neither for blocks that it loads, so it is not asked; its answer is
 * completed with the prefill worker's bytes. The form is that of vLLM 0.32.0: {@code
 * prompt_logprobs} stand in the choice of a completion, at the top of a chat; an echo goes before
 * the choice's text, and its tokens before those in each list of {@code logprobs}, whose {@code
 * text_offset} counts characters from the echo's beginning.
 */
public final class PromptAnswer {
  private static final String PROMPT_LOGPROBS = "prompt_logprobs";
  private static final String TEXT = "text";
  private static final String TEXT_OFFSET = "text_offset";
  private static final List<String> LISTS =
      List.of(TEXT_OFFSET, "token_logprobs", "tokens", "top_logprobs");

  private final byte[] answer;
  private final Places places;
  private final Echo echo;

  /** Whether the prompt's own text belongs before the answer's. */
  public enum Echo {
    /** It does not. */
    NO,
    /** It does. */
    YES
  }

  private record Span(int from, int to) {}

  private PromptAnswer(byte[] answer, Places places, Echo echo) {
    this.answer = answer;
    this.places = places;
    this.echo = echo;
  }

  /** Reads a prefill worker's answer; empty if it is not what it should be. */
  public static Optional<PromptAnswer> of(byte[] answer, int length, Echo echo) {
    return Places.of(answer, length)
        .filter(places -> echo == Echo.NO || places.spans.containsKey(TEXT))
        .map(places -> new PromptAnswer(answer, places, echo));
  }

  /** A decode worker's whole answer with what is known of the prompt. */
  public Buffer completing(Buffer decoded) {
    byte[] bytes = decoded.getBytes();
    Optional<Places> found = Places.of(bytes, bytes.length);
    if (found.isEmpty()) {
      return decoded;
    }
    Places into = found.get();
    List<Edit> edits = new ArrayList<>();
    Span own = places.spans.get(PROMPT_LOGPROBS);
    Span theirs = into.spans.get(PROMPT_LOGPROBS);
    if (own != null && theirs != null) {
      edits.add(new Edit(theirs, answer, own));
    }
    if (echo == Echo.YES) {
      echo(into, bytes, edits);
    }
    edits.sort(Comparator.comparingInt(edit -> edit.place.from));
    Splice splice = new Splice(bytes, bytes.length);
    for (Edit edit : edits) {
      splice.replace(edit.place.from, edit.place.to, edit.with, edit.span.from, edit.span.to);
    }
    return splice.toBuffer();
  }

  /** A span of other bytes for a place. */
  private static final class Edit {
    final Span place;
    final byte[] with;
    final Span span;

    Edit(Span place, byte[] with, Span span) {
      this.place = place;
      this.with = with;
      this.span = span;
    }
  }

  private void echo(Places into, byte[] bytes, List<Edit> edits) {
    Span prompt = places.spans.get(TEXT);
    Span text = into.spans.get(TEXT);
    if (prompt == null || text == null) {
      return;
    }
    edits.add(before(text, new Span(prompt.from + 1, prompt.to - 1)));
    for (String list : LISTS) {
      Span first = places.spans.get(list);
      Span second = into.spans.get(list);
      if (first == null || second == null || isEmpty(answer, first)) {
        continue;
      }
      if (list.equals(TEXT_OFFSET)) {
        byte[] shifted = shifted(into.offsets, places.end());
        edits.add(new Edit(second, shifted, new Span(0, shifted.length)));
      } else {
        byte[] both = joined(first, bytes, second);
        edits.add(new Edit(second, both, new Span(0, both.length)));
      }
    }
  }

  /** An edit that puts bytes of the prefill worker behind a value's first byte. */
  private Edit before(Span value, Span span) {
    return new Edit(new Span(value.from + 1, value.from + 1), answer, span);
  }

  private static boolean isEmpty(byte[] bytes, Span list) {
    for (int at = list.from + 1; at < list.to - 1; at++) {
      if (bytes[at] > ' ') {
        return false;
      }
    }
    return true;
  }

  private byte[] joined(Span first, byte[] bytes, Span second) {
    Splice both = new Splice(answer, answer.length);
    both.replace(0, first.from, answer, 0, 0);
    if (isEmpty(bytes, second)) {
      both.replace(first.to, answer.length, answer, 0, 0);
    } else {
      both.replace(first.to - 1, first.to - 1, COMMA);
      both.replace(first.to - 1, answer.length, bytes, second.from + 1, second.to);
    }
    return both.toBuffer().getBytes();
  }

  private static final byte[] COMMA = {','};

  private byte[] shifted(List<Integer> offsets, int by) {
    StringBuilder list = new StringBuilder("[");
    for (int offset : places.offsets) {
      list.append(list.length() == 1 ? "" : ",").append(offset);
    }
    for (int offset : offsets) {
      list.append(list.length() == 1 ? "" : ",").append(offset + by);
    }
    return list.append(']').toString().getBytes(StandardCharsets.US_ASCII);
  }

  /** Where the values stand that matter here: of the first choice, or at the top. */
  private static final class Places {
    final Map<String, Span> spans = new HashMap<>();
    final List<Integer> offsets = new ArrayList<>();
    @Nullable String lastToken;

    static Optional<Places> of(byte[] answer, int length) {
      Places places = new Places();
      try {
        for (RootObject root = RootObject.open(answer, 0, length); root.next(); ) {
          switch (root.name()) {
            case PROMPT_LOGPROBS -> places.put(PROMPT_LOGPROBS, root);
            case "choices" -> places.firstChoice(root);
            default -> {}
          }
        }
      } catch (IOException e) {
        return Optional.empty();
      }
      return Optional.of(places);
    }

    private void put(String name, RootObject member) {
      spans.putIfAbsent(name, new Span(member.valueStart(), member.valueEnd()));
    }

    private void firstChoice(RootObject choices) throws IOException {
      if (choices.kind() != JsonToken.START_ARRAY) {
        return;
      }
      JsonList all = choices.list();
      if (!all.next() || all.kind() != JsonToken.START_OBJECT) {
        return;
      }
      for (RootObject choice = all.object(); choice.next(); ) {
        String name = choice.name();
        if (name.equals("logprobs") && choice.kind() == JsonToken.START_OBJECT) {
          lists(choice.object());
        } else if ((name.equals(TEXT) && choice.kind() == JsonToken.VALUE_STRING)
            || name.equals(PROMPT_LOGPROBS)) {
          put(name, choice);
        }
      }
    }

    private void lists(RootObject logprobs) throws IOException {
      while (logprobs.next()) {
        if (logprobs.kind() != JsonToken.START_ARRAY) {
          continue;
        }
        String name = logprobs.name();
        put(name, logprobs);
        for (JsonList list = logprobs.list(); list.next(); ) {
          if (name.equals(TEXT_OFFSET) && list.kind() == JsonToken.VALUE_NUMBER_INT) {
            offsets.add(Integer.parseInt(list.spelling()));
          } else if (name.equals("tokens") && list.kind() == JsonToken.VALUE_STRING) {
            lastToken = list.string();
          }
        }
      }
    }

    /** The offset behind the last token, in characters as Python counts them. */
    int end() {
      String last = lastToken;
      return offsets.isEmpty() || last == null
          ? 0
          : offsets.getLast() + last.codePointCount(0, last.length());
    }
  }
}
