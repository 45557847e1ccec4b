package dev.millrace.router.http;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.router.http.ClientRequest.AtStop;
import dev.millrace.router.http.ClientRequest.TokenReuse;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.json.JsonObject;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.StringJoiner;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

/** Spliced bodies against a parser that builds trees, over random objects with random spacing. */
final class SplicePropertyTest {
  private static final List<String> TOUCHED =
      List.of(
          "stream",
          "stream_options",
          "max_tokens",
          "max_completion_tokens",
          "min_tokens",
          "n",
          "best_of",
          "kv_transfer_params",
          "bootstrap_room");

  /** A member as it stands in the text, spacing included. */
  record Member(String name, String value, String before, String after) {
    String text() {
      return before + '"' + name + '"' + after + ':' + before + value + after;
    }
  }

  @Provide
  Arbitrary<List<Member>> members() {
    Arbitrary<String> space = Arbitraries.of("", " ", "\n", "\t \r\n");
    Arbitrary<String> names =
        Arbitraries.oneOf(
            Arbitraries.of(TOUCHED), Arbitraries.of("a", "b", "messages", "temperature", "ü"));
    Arbitrary<Member> member =
        Combinators.combine(names, space, space, Arbitraries.integers().between(0, 9))
            .as((name, before, after, i) -> new Member(name, value(name, i), before, after));
    return member
        .list()
        .uniqueElements(Member::name)
        .ofMaxSize(12)
        .flatMap(all ->
            Arbitraries.integers()
                .between(0, all.size())
                .map(at -> {
                  List<Member> with = new java.util.ArrayList<>(all);
                  with.add(at, new Member("model", "\"m\"", "", " "));
                  return with;
                }));
  }

  private static String value(String name, int i) {
    List<String> values =
        switch (name) {
          case "stream" -> List.of("true", "false", "null");
          case "max_tokens", "max_completion_tokens", "min_tokens", "n", "best_of" ->
              List.of("null", "0", "17", "-3");
          default ->
              List.of(
                  "1.50e+3",
                  "\"\\\"}{,:\\\\\"",
                  "[ 1 , [ ] ,{\"n\":2}]",
                  "{ \"stream\" : true , \"x\":{ } }",
                  "\"\\u00e9é😀\"",
                  "null",
                  "true");
        };
    return values.get(i % values.size());
  }

  private static String text(List<Member> members) {
    StringJoiner text = new StringJoiner(",", "{", "}");
    members.forEach(member -> text.add(member.text()));
    return text.toString();
  }

  private static ClientRequest read(String body) {
    byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
    return (ClientRequest) ClientRequest.read(Api.COMPLETIONS, bytes, bytes.length);
  }

  @Property
  void prefillBody_isTheClientsWithTheTouchedMembersRewritten(
      @ForAll("members") List<Member> members) {
    Map<String, Object> expected = tree(text(members));
    expected.keySet().removeAll(List.of("stream_options", "min_tokens", "n", "best_of"));
    expected.remove("bootstrap_room");
    if (expected.containsKey("stream")) {
      expected.put("stream", false);
    }
    expected.replace("max_tokens", 1);
    expected.replace("max_completion_tokens", 1);
    if (!expected.containsKey("max_completion_tokens")) {
      expected.put("max_tokens", 1);
    }
    Map<String, Object> given =
        tree(read(text(members)).prefillBody(AtStop.HANDS_OVER, TokenReuse.TEXTS).toString());

    assertThat(given.remove("kv_transfer_params")).hasToString(askTree());
    expected.remove("kv_transfer_params");
    assertThat(given).isEqualTo(expected);
  }

  private static String askTree() {
    return "{do_remote_decode=true, do_remote_prefill=false, remote_engine_id=null,"
        + " remote_block_ids=null, remote_host=null, remote_port=null}";
  }

  @Property
  void decodeBody_differsFromTheClientsInTheParametersOnly(
      @ForAll("members") List<Member> members) {
    Map<String, Object> expected = tree(text(members));
    expected.remove("bootstrap_room");
    expected.put("kv_transfer_params", Map.of("r", 1));

    assertThat(
            tree(
                read(text(members))
                    .decodeBody(Buffer.buffer("{\"r\":1}"), null, TokenReuse.TEXTS)
                    .toString()))
        .isEqualTo(expected);
  }

  @Property
  void untouchedMembers_keepTheirBytes(@ForAll("members") List<Member> members) {
    String prefill =
        read(text(members)).prefillBody(AtStop.HANDS_OVER, TokenReuse.TEXTS).toString();

    int from = 0;
    for (Member member : members) {
      if (!TOUCHED.contains(member.name())) {
        // The space around a name belongs to the object, which is also kept.
        String bytes = member.text().strip();
        int at = prefill.indexOf(bytes, from);
        assertThat(at).as("%s in order in %s", bytes, prefill).isNotNegative();
        from = at + bytes.length();
      }
    }
  }

  @Property
  void arbitraryBytes_areUnderstoodOrRefused(@ForAll byte[] bytes) {
    assertThat(ClientRequest.read(Api.COMPLETIONS, bytes, bytes.length)).isNotNull();
  }

  @Property
  void mangledText_isUnderstoodAsAnyParserWouldOrRefused(
      @ForAll("members") List<Member> members, @ForAll int where, @ForAll byte what) {
    byte[] bytes = text(members).getBytes(StandardCharsets.UTF_8);
    bytes[Math.floorMod(where, bytes.length)] = what;

    switch (ClientRequest.read(Api.COMPLETIONS, bytes, bytes.length)) {
      case ClientRequest understood -> {
        tree(understood.prefillBody(AtStop.HANDS_OVER, TokenReuse.TEXTS).toString());
        tree(understood.decodeBody(Buffer.buffer("{}"), null, TokenReuse.TEXTS).toString());
        tree(understood.decodeBody().toString());
      }
      case KeptResponse none -> throw new AssertionError(none);
      case Classified.Refused(Problem problem) -> assertThat(problem.status()).isEqualTo(400);
    }
  }

  private static Map<String, Object> tree(String text) {
    return new LinkedHashMap<>(new JsonObject(text).getMap());
  }
}
