package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.StringJoiner;
import java.util.function.Function;
import java.util.stream.Collectors;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.Tuple;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;

/**
 * Random bodies through a router: both engines get the client's bytes, but for the spans that
 * docs/api.md names. What they should get is put together here from the members that a body was
 * made of, and compared byte by byte.
 */
final class ByteDiffTest {
  private static final int DEEPEST = 60;
  private static final Stage STAGE = new Stage();
  private static final ScriptedEngine PREFILL = STAGE.engine(Scripts.prefill());
  private static final ScriptedEngine DECODE = STAGE.engine(Scripts.decode());

  /** What the prefill engine is told instead; empty: the member is taken out. */
  private static final Map<String, Optional<String>> ON_PREFILL =
      Map.ofEntries(
          Map.entry("stream", Optional.of("false")),
          Map.entry("max_tokens", Optional.of("1")),
          Map.entry("max_completion_tokens", Optional.of("1")),
          Map.entry("kv_transfer_params", Optional.of(asked())),
          Map.entry("return_token_ids", Optional.of("true")),
          Map.entry("stream_options", Optional.empty()),
          Map.entry("min_tokens", Optional.empty()),
          Map.entry("n", Optional.empty()),
          Map.entry("bootstrap_room", Optional.empty()),
          Map.entry("data_parallel_rank", Optional.empty()));

  private static final Map<String, Optional<String>> ON_DECODE =
      Map.of(
          "kv_transfer_params", Optional.of(Scripts.PARAMETERS),
          "bootstrap_room", Optional.empty(),
          "data_parallel_rank", Optional.empty());

  @BeforeContainer
  static void open() {
    STAGE.begin();
    STAGE.open(PREFILL, DECODE);
  }

  @AfterContainer
  static void close() throws Exception {
    STAGE.end();
  }

  /** A member as it stands in the text. */
  record Member(
      String name, String spelt, String before, String colon, String value, String behind) {
    String with(String otherValue) {
      return before + '"' + spelt + '"' + colon + otherValue + behind;
    }
  }

  @Property(tries = 1000)
  void engines_getTheClientsBytesButForTheDocumentedSpans(@ForAll("bodies") List<Member> body)
      throws Exception {
    int before = DECODE.requests().size();

    HttpResponse<String> answer = STAGE.post("/v1/completions", text(body));

    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    assertThat(PREFILL.requests()).hasSize(before + 1);
    assertThat(DECODE.requests()).hasSize(before + 1);
    List<String> toPrefill = new ArrayList<>();
    if (!has(body, "max_tokens") && !has(body, "max_completion_tokens")) {
      toPrefill.add("\"max_tokens\":1");
    }
    if (!has(body, "kv_transfer_params")) {
      toPrefill.add("\"kv_transfer_params\":" + asked());
    }
    if (!has(body, "return_token_ids")) {
      toPrefill.add("\"return_token_ids\":true");
    }
    assertThat(PREFILL.requests().getLast().text()).isEqualTo(edited(body, ON_PREFILL, toPrefill));
    List<String> toDecode =
        has(body, "kv_transfer_params")
            ? List.of()
            : List.of("\"kv_transfer_params\":" + Scripts.PARAMETERS);
    assertThat(DECODE.requests().getLast().text()).isEqualTo(edited(body, ON_DECODE, toDecode));
  }

  private static String asked() {
    return "{\"do_remote_decode\":true,\"do_remote_prefill\":false,\"remote_engine_id\":null,"
        + "\"remote_block_ids\":null,\"remote_host\":null,\"remote_port\":null}";
  }

  private static boolean has(List<Member> body, String name) {
    return body.stream().anyMatch(member -> member.name().equals(name));
  }

  private static String text(List<Member> body) {
    return body.stream()
        .map(member -> member.with(member.value()))
        .collect(Collectors.joining(",", "{", "}"));
  }

  /**
   * The text with other values. With a member goes one comma, and the white space between the two:
   * the comma before it, or behind it where nothing before it is left.
   */
  private static String edited(
      List<Member> body, Map<String, Optional<String>> edits, List<String> appended) {
    StringBuilder text = new StringBuilder("{");
    boolean empty = true;
    for (int i = 0; i < body.size(); i++) {
      Member member = body.get(i);
      Optional<String> value = edits.getOrDefault(member.name(), Optional.of(member.value()));
      if (value.isPresent()) {
        text.append(empty ? "" : ",").append(member.with(value.get()));
        empty = false;
      } else if (!empty) {
        text.append(member.behind());
      } else {
        text.append(member.before()).append(i == body.size() - 1 ? member.behind() : "");
      }
    }
    StringJoiner more = new StringJoiner(",", empty || appended.isEmpty() ? "" : ",", "}");
    appended.forEach(more::add);
    return text.append(more).toString();
  }

  @Provide
  Arbitrary<List<Member>> bodies() {
    Arbitrary<Member> others =
        member(Arbitraries.oneOf(Arbitraries.of("a", "messages", "user", ""), anyText()), json());
    Arbitrary<List<Member>> touched =
        Combinators.combine(
                maybe("stream", "true", "false", "null"),
                maybe("max_tokens", "17", "null", "2147483648"),
                maybe("max_completion_tokens", "null", "3"),
                maybe("kv_transfer_params", "null", "{\"remote_host\":\"10.0.0.1\"}", "[]"),
                maybe("return_token_ids", "true", "false"),
                maybe("stream_options", "{ \"include_usage\" : true }", "null"),
                maybe("min_tokens", "3", "0"),
                Combinators.combine(
                        maybe("n", "1", "null"),
                        maybe("bootstrap_room", "1", "\"x\"", "{}"),
                        maybe("data_parallel_rank", "0", "-1"))
                    .as((n, room, rank) -> join(List.of(n, room, rank))))
            .as((a, b, c, d, e, f, g, more) -> join(List.of(a, b, c, d, e, f, g, more)));
    Arbitrary<List<Member>> required =
        Combinators.combine(
                member(Arbitraries.just("model"), Arbitraries.just("\"tiny\"")),
                member(Arbitraries.just("prompt"), string()))
            .as((model, prompt) -> List.of(model, prompt));
    return Combinators.combine(required, touched, others.list().ofMaxSize(6))
        .as((a, b, c) -> join(List.of(a, b, c)))
        .flatMap(members -> Arbitraries.shuffle(members));
  }

  private static List<Member> join(List<List<Member>> lists) {
    return lists.stream().flatMap(List::stream).toList();
  }

  private static Arbitrary<List<Member>> maybe(String name, String... values) {
    return member(Arbitraries.just(name), Arbitraries.of(values)).list().ofMaxSize(1);
  }

  private static Arbitrary<Member> member(Arbitrary<String> name, Arbitrary<String> value) {
    return name.flatMap(decoded ->
        Combinators.combine(spelt(decoded), space(), space(), space(), space(), value)
            .as((spelt, a, b, c, d, v) -> new Member(decoded, spelt, a, b + ':' + c, v, d)));
  }

  private static Arbitrary<String> space() {
    return Arbitraries.frequencyOf(
        Tuple.of(4, Arbitraries.just("")),
        Tuple.of(1, Arbitraries.of(" ", "\n", "\t \r\n", "   ")));
  }

  /** Nothing that means something to a router, unless by its own name. */
  private static Arbitrary<String> anyText() {
    return Arbitraries.strings()
        .all()
        .excludeChars(surrogates())
        .ofMaxLength(12)
        .map(text -> text + "\uD83D\uDE00");
  }

  private static char[] surrogates() {
    char[] all = new char[Character.MAX_SURROGATE - Character.MIN_SURROGATE + 1];
    for (int i = 0; i < all.length; i++) {
      all[i] = (char) (Character.MIN_SURROGATE + i);
    }
    return all;
  }

  private static Arbitrary<String> string() {
    return anyText().flatMap(ByteDiffTest::spelt).map(spelt -> '"' + spelt + '"');
  }

  /** One of the ways to write a text: as it is, or with some of its characters escaped. */
  private static Arbitrary<String> spelt(String text) {
    return Arbitraries.integers()
        .between(0, 7)
        .list()
        .ofSize(text.length())
        .map(ways -> {
          StringBuilder spelt = new StringBuilder();
          for (int i = 0; i < text.length(); i++) {
            spelt.append(spelt(text.charAt(i), ways.get(i)));
          }
          return spelt.toString();
        });
  }

  private static String spelt(char c, int way) {
    boolean must = c < ' ' || c == '"' || c == '\\';
    if (c == '/' && way == 1) {
      return "\\/";
    }
    if (must && way < 4 && "\"\\\b\f\n\r\t".indexOf(c) >= 0) {
      return "\\" + "\"\\bfnrt".charAt("\"\\\b\f\n\r\t".indexOf(c));
    }
    return must || (way == 0 && !Character.isSurrogate(c))
        ? "\\u" + HexFormat.of().withUpperCase().toHexDigits(c)
        : String.valueOf(c);
  }

  private static Arbitrary<String> json() {
    Arbitrary<String> plain =
        Arbitraries.oneOf(
            Arbitraries.of(
                "null",
                "true",
                "-0",
                "1.50e+3",
                "1E400",
                "123456789012345678901234567890.000000000000001",
                "18446744073709551616",
                "\"\\uD83D\\ude00\"",
                "\"\\ud83d\""),
            string());
    return Combinators.combine(plain.list().ofMinSize(1).ofMaxSize(4), nest())
        .as((values, nest) -> nest.apply(values));
  }

  /** Values one in the other, with the same name again and again. */
  private static Arbitrary<Function<List<String>, String>> nest() {
    return Combinators.combine(Arbitraries.integers().between(0, DEEPEST), space(), space())
        .as((depth, before, behind) ->
            values -> {
              String value = values.getFirst();
              List<String> rest =
                  values.size() == 1
                      ? List.of()
                      : Collections.unmodifiableList(values.subList(1, values.size()));
              for (int i = 0; i < depth; i++) {
                String others =
                    rest.stream().map(v -> ",\"stream\":" + v).collect(Collectors.joining());
                value =
                    i % 2 == 0
                        ? "[" + before + value + behind + "," + before + "1 ]"
                        : "{" + before + "\"stream\"" + behind + ":" + value + others + "}";
              }
              return value;
            });
  }
}
