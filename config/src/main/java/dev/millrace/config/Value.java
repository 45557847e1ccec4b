package dev.millrace.config;

import java.util.Arrays;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * What may stand at a key. The readers take scalars as text, however YAML resolves them: {@code
 * port: "8080"} is a port, and {@code model: 7} names the model "7".
 */
sealed interface Value {
  /**
   * Text that YAML may take for a number or a flag.
   *
   * @param what what it says, for people
   * @param pattern what the whole of it matches
   */
  record Word(String what, Pattern pattern) implements Value {
    private static final Pattern NOT_BLANK = Pattern.compile("[\\s\\S]*\\S[\\s\\S]*");

    static final Word TEXT = new Word("text", NOT_BLANK);
    static final Word PATH = new Word("path", NOT_BLANK);
    static final Word HOST = new Word("host name or address", Field.HOST);
  }

  /**
   * Text of a form that no number or flag has.
   *
   * @param what what it says, for people
   * @param pattern what the whole of it matches
   */
  record Form(String what, Pattern pattern) implements Value {
    static final Form HOST_PORT = new Form("`host:port`", Field.HOST_PORT);
    static final Form URL = new Form("http(s) URL", Pattern.compile("[Hh][Tt][Tt][Pp][Ss]?://.+"));

    /** How {@link Quantities} reads a time; of none at all it is said that it is out of range. */
    static final Form TIME =
        new Form("1ms to 24h", Pattern.compile("(?!0+ ?[a-z])\\d{1,10} ?(ms|s|m|h)"));

    /** A size between these. */
    static Form size(long leastBytes, long mostBytes) {
      return new Form(
          "%s to %s".formatted(Quantities.text(leastBytes), Quantities.text(mostBytes)),
          Pattern.compile("\\d{1,10} ?(B|KiB|MiB|GiB)"));
    }
  }

  /** A whole number within bounds. */
  record Whole(long least, long most) implements Value {
    static final Whole PORT = new Whole(0, 65535);
  }

  /**
   * One of several words.
   *
   * @param words those that people are shown
   * @param synonyms others that are taken
   */
  record Choice(List<String> words, List<String> synonyms) implements Value {
    public Choice {
      words = List.copyOf(words);
      synonyms = List.copyOf(synonyms);
    }

    static <E extends Enum<E> & Keyword> Choice of(E[] values) {
      return of(Arrays.stream(values).map(Keyword::keyword).toList());
    }

    static Choice of(List<String> words) {
      return new Choice(words, List.of());
    }

    List<String> all() {
      return Stream.of(words, synonyms).flatMap(List::stream).toList();
    }
  }

  /** True or false. */
  record Flag() implements Value {}

  /** An object of a foreign program, in YAML or as the text that its command line takes. */
  record Foreign() implements Value {}

  /**
   * Some of these.
   *
   * @param least how many at least
   */
  record ListOf(Value each, int least) implements Value {
    /** At least one of these. */
    ListOf(Value each) {
      this(each, 1);
    }
  }

  /**
   * A mapping whose keys the operator chooses, at least one.
   *
   * @param name what the whole of each key matches
   */
  record Named(Pattern name, Value each) implements Value {}

  /**
   * A mapping with these keys and no others.
   *
   * @param own those that documentation shows where it shows the mapping
   * @param elsewhere those that have a table of their own there
   */
  record Group(List<Key> own, List<Key> elsewhere) implements Value {
    public Group {
      own = List.copyOf(own);
      elsewhere = List.copyOf(elsewhere);
    }

    static Group of(List<Key> own) {
      return new Group(own, List.of());
    }

    static Group elsewhere(List<Key> keys) {
      return new Group(List.of(), keys);
    }

    List<Key> all() {
      return Stream.of(own, elsewhere).flatMap(List::stream).toList();
    }
  }
}
