package dev.millrace.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** One mistake in an otherwise good table gives one complaint, at the right place. */
class ComplaintTest {
  private static final String GOOD =
      """
      listen: {host: 127.0.0.1, port: 8080}
      admin: {port: 9090}
      pools:
        p: {role: prefill, model: llama, engine: vllm, workers: [{url: "http://a:1", side-channel: "a:2"}]}
        d: {role: decode, model: llama, engine: vllm, workers: [{url: "http://b:1", side-channel: "b:2"}]}
      routes:
        - match: {model: llama}
          prefill: {pool: p, policy: round-robin}
          decode: {pool: d}
          transfer: engine
          deadlines: {prefill: 60s}
          retries: {prefill: 2}
      """;

  static Stream<Arguments> mistakes() {
    return Stream.of(
        mistake(
            "port: 8080",
            "port: eight",
            "1:33: listen.port: \"eight\" is not a whole number from 0 to 65535"),
        mistake("port: 8080", "port: 65536", "1:33: listen.port: is 65536, must be 0 to 65535"),
        mistake("port: 8080", "port: -1", "1:33: listen.port: is -1, must be 0 to 65535"),
        mistake("port: 8080", "port: [1]", "1:33: listen.port: is a list, should be text"),
        mistake("port: 8080", "port:", "1:32: listen.port: is empty, should be text"),
        mistake(
            "port: 8080", "port: 9090", "2:8: admin: listen and admin cannot share 127.0.0.1:9090"),
        mistake(
            "host: 127.0.0.1",
            "host: 127.0.0.1:80",
            "1:16: listen.host: \"127.0.0.1:80\" is not a host name or address; ports have a key of"
                + " their own"),
        mistake(
            "admin: {port: 9090}",
            "admin:\n  port: ${NO_SUCH_PORT}",
            "3:9: admin.port: \"${NO_SUCH_PORT}\": the environment has no NO_SUCH_PORT; set it, or write ${NO_SUCH_PORT:-otherwise}"),
        mistake(
            "host: 127.0.0.1",
            "host: !secret abc",
            "1:16: listen.host: has the tag \"!secret\", which has no meaning here; remove it"),
        mistake(
            "port: 8080",
            "max-body: 16",
            "1:37: listen.max-body: \"16\" is not a size; write a whole number and B, KiB, MiB or GiB,"
                + " such as 16MiB"),
        mistake(
            "port: 8080",
            "max-body: 2GiB",
            "1:37: listen.max-body: \"2GiB\" is out of range, must be 1KiB to 1GiB"),
        mistake(
            "port: 8080", "event-loops: 0", "1:40: listen.event-loops: is 0, must be 1 to 1024"),
        mistake("{port: 9090}", "9090", "2:8: admin: is \"9090\", should be a mapping"),
        mistake("admin:", "amdin:", "2:1: amdin: is not a known key; did you mean \"admin\"?"),
        mistake(
            "admin:",
            "listen:",
            "2:1: listen: stands here a second time; first on line 1; keep one of them"),
        mistake(
            "admin:",
            "[a, b]:",
            "2:1: has a key that is not text; write a plain word before the colon"),
        mistake(
            "admin:",
            "telemetry:",
            "2:1: telemetry: is not a known key; known here: listen, admin,"
                + " pools, agents, routes"),
        mistake("admin:", "<<:", "2:1: \"<<\": is not a known key; YAML 1.2 has no merge keys"),
        mistake(
            "p: {role: prefill",
            "p: {role: prefil",
            "4:13: pools.p.role: \"prefil\" is not prefill, decode or both; did you mean \"prefill\"?"),
        mistake(
            "role: prefill, ", "", "4:6: pools.p: \"role\" is missing: prefill, decode or both"),
        mistake(
            "{role: prefill, model: llama, engine: vllm",
            "{role: prefill, model: llama, engine: sglang",
            "4:44: pools.p.engine: \"sglang\" is not vllm or millrace-sim"),
        mistake(
            "workers: [{url: \"http://a:1\", side-channel: \"a:2\"}]",
            "workers: none",
            "4:59: pools.p.workers: is \"none\", should be a list"),
        mistake(
            "workers: [{url: \"http://a:1\", side-channel: \"a:2\"}]",
            "workers: {url: x}",
            "4:59: pools.p.workers: is a mapping, should be a list"),
        mistake(
            "url: \"http://a:1\", ",
            "",
            "4:60: pools.p.workers[0]: \"url\" is missing: such as http://10.0.0.4:8000"),
        mistake(
            "http://a:1",
            "a:1",
            "4:66: pools.p.workers[0].url: \"a:1\" is not an http(s) URL such as http://10.0.0.4:8000"),
        mistake(
            "http://a:1",
            "http://a:1/v1",
            "4:66: pools.p.workers[0].url: \"http://a:1/v1\" has something after the port; give scheme,"
                + " host and port only"),
        mistake(
            "http://a:1",
            "http://me:secret@a:1",
            "4:66: pools.p.workers[0].url: \"http://***@a:1\" carries credentials, which do not"
                + " belong into a URL; leave them out"),
        mistake(
            "http://a:1",
            "http://a:99999",
            "4:66: pools.p.workers[0].url: \"http://a:99999\" has port 99999, must be 1 to 65535"),
        mistake(
            "http://a:1",
            "http://my_host:1",
            "4:66: pools.p.workers[0].url: \"http://my_host:1\" names no usable host: letters, digits, -"
                + " and . only"),
        mistake(
            "http://a:1",
            "http://B:1/",
            "5:65: pools.d.workers[0].url: \"http://b:1\" is listed already, as pools.p.workers[0].url on"
                + " line 4; remove one of them"),
        mistake(
            "\"a:2\"",
            "\"b:2\"",
            "5:93: pools.d.workers[0].side-channel: \"b:2\" is listed already, as"
                + " pools.p.workers[0].side-channel on line 4; remove one of them"),
        mistake(
            "\"a:2\"",
            "\"5600\"",
            "4:94: pools.p.workers[0].side-channel: \"5600\" is not host:port, such as 10.0.0.4:5600"),
        mistake(
            "\"a:2\"",
            "\"a:0\"",
            "4:94: pools.p.workers[0].side-channel: \"a:0\" has port 0, must be 1 to 65535"),
        mistake(
            "side-channel: \"a:2\"",
            "data-parallel-size: 0",
            "4:100: pools.p.workers[0].data-parallel-size: is 0, must be 1 to 1024"),
        mistake(
            "\"a:2\"",
            "\"a:65535\", data-parallel-size: 2",
            "4:94: pools.p.workers[0].side-channel: \"a:65535\": its port and the 1 after it, for the"
                + " other data-parallel ranks, go beyond 65535; choose a lower one"),
        mistake(
            "pools:\n",
            "pools:\n  q/1: {role: decode, model: x, engine: vllm, workers: [{url: http://q}]}\n",
            "4:3: pools.\"q/1\": is not a name for a pool; use up to 63 letters, digits, '.', '_' and"
                + " '-'"),
        mistake(
            "{pool: d}",
            "{pool: e}",
            "9:20: routes[0].decode.pool: there is no pool \"e\"; known: d, p"),
        mistake(
            "{pool: d}",
            "{pool: p}",
            "9:20: routes[0].decode.pool: pool \"p\" has role prefill, this stage needs decode; pools that fit: d"),
        mistake(
            "engine: vllm, workers: [{url: \"http://a:1\"",
            "engine: vllm, vllm-version: new, workers: [{url: \"http://a:1\"",
            "4:64: pools.p.vllm-version: \"new\" is not a version such as 0.32.0"),
        mistake(
            "side-channel: \"a:2\"",
            "geometry: \"tp=2,blocksize=16\"",
            "4:90: pools.p.workers[0].geometry: geometry \"tp=2,blocksize=16\": \"blocksize\" is not a"
                + " key; known keys: tp, pp, dcp, block, layout, blocks, layers, heads, head-size, dtype,"
                + " mla, latent, window, state, state-layers, state-dtype, conv, per-id"),
        mistake(
            "side-channel: \"a:2\"",
            "geometry: \"tp=2,heads=8\"",
            "4:90: pools.p.workers[0].geometry: \"heads\" is the model's; say it in model-config"),
        mistake(
            "side-channel: \"a:2\"",
            "model-config: {layers: 4, dtype: bf16, kv-heads: 4}",
            "4:94: pools.p.workers[0].model-config: \"head-size\" is missing: elements of a head; with MLA:"
                + " latent"),
        mistake(
            "side-channel: \"a:2\"",
            "model-config: {architecture: moo}",
            "4:109: pools.p.workers[0].model-config.architecture: \"moo\" is none of dense, mla,"
                + " sparse-mla, hybrid, moe, multimodal, encoder-decoder; did you mean \"moe\"?"),
        mistake(
            "side-channel: \"a:2\"",
            "kv-transfer-config: '{\"kv_role\": \"kv_both\"}'",
            "4:100: pools.p.workers[0].kv-transfer-config: kv-transfer-config: kv_connector is missing"),
        mistake(
            "side-channel: \"a:2\"",
            "kv-transfer-config: NixlConnector",
            "4:100: pools.p.workers[0].kv-transfer-config: \"NixlConnector\" is not an object; write it in YAML, or as JSON"
                + " in single quotes"),
        mistake(
            "side-channel: \"a:2\"",
            "prefix-caching: perhaps",
            "4:96: pools.p.workers[0].prefix-caching: \"perhaps\" is not true or false"),
        mistake(
            "side-channel: \"a:2\"",
            "transfer-mode: pul",
            "4:95: pools.p.workers[0].transfer-mode: \"pul\" is none of pull, push; did you mean"
                + " \"pull\"?"),
        mistake(
            "role: decode, model: llama",
            "role: decode, model: qwen",
            "9:20: routes[0].decode.pool: pool \"d\" serves model \"qwen\", this route asks for"
                + " \"llama\"; there is no decode pool of this model"),
        mistake(
            "policy: round-robin",
            "policy: sticky",
            "8:32: routes[0].prefill.policy: \"sticky\" is not round-robin, least-active, random,"
                + " power-of-two, session-affinity or prefix-affinity"),
        mistake(
            "policy: round-robin",
            "policy: session-affinity",
            "8:32: routes[0].prefill.policy: session-affinity needs \"session\": where requests name"
                + " theirs, {header: NAME} or {field: NAME}"),
        mistake(
            "policy: round-robin",
            "policy: random, session: {field: user}",
            "8:49: routes[0].prefill.session: is for policy session-affinity, this stage has random"),
        mistake(
            "policy: round-robin",
            "policy: session-affinity, session: {}",
            "8:59: routes[0].prefill.session: needs either \"header\" or \"field\", with the name of"
                + " one"),
        mistake(
            "policy: round-robin",
            "policy: session-affinity, session: {header: x-id, field: user}",
            "8:59: routes[0].prefill.session: needs either \"header\" or \"field\", with the name of"
                + " one"),
        mistake(
            "policy: round-robin",
            "policy: session-affinity, session: {header: x, cookie: id}",
            "8:71: routes[0].prefill.session.cookie: is not a known key; known here: header, field"),
        mistake(
            "policy: round-robin",
            "policy: session-affinity, session: {header: x session}",
            "8:68: routes[0].prefill.session.header: \"x session\" is not the name of a header; such as"
                + " x-session-id"),
        mistake(
            "policy: round-robin",
            "policy: prefix-afinity",
            "8:32: routes[0].prefill.policy: \"prefix-afinity\" is not round-robin, least-active,"
                + " random, power-of-two, session-affinity or prefix-affinity; did you mean"
                + " \"prefix-affinity\"?"),
        mistake(
            "policy: round-robin",
            "policy: session, session: {field: user}, balance-percent: 150",
            "8:32: routes[0].prefill.policy: \"session\" is not round-robin, least-active, random,"
                + " power-of-two, session-affinity or prefix-affinity"),
        mistake(
            "policy: round-robin",
            "policy: prefix-affinity, balance-percent: 99",
            "8:66: routes[0].prefill.balance-percent: is 99, must be 100 to 1000"),
        mistake(
            "policy: round-robin",
            "policy: random, balance-percent: 150",
            "8:57: routes[0].prefill.balance-percent: bounds nothing here; it is for session-affinity,"
                + " prefix-affinity and prefer-same"),
        mistake(
            "policy: round-robin",
            "prefer-same: zone",
            "8:24: routes[0].prefill.prefer-same: is not a known key; known here: pool, policy,"
                + " session, balance-percent"),
        mistake(
            "side-channel: \"a:2\"",
            "labels: {\"a zone\": b}",
            "4:89: pools.p.workers[0].labels.\"a zone\": is not a name for a label; use up to 63"
                + " letters, digits, '.', '_' and '-'"),
        mistake(
            "side-channel: \"a:2\"",
            "labels: {zone: }",
            "4:94: pools.p.workers[0].labels.zone: is empty, should be text"),
        mistake(
            "transfer: engine",
            "bypass: {prompt-bytes-below: 100}",
            "10:34: routes[0].bypass.prompt-bytes-below: \"100\" is not a size; write a whole number"
                + " and B, KiB, MiB or GiB, such as 16MiB"),
        mistake(
            "transfer: engine",
            "bypass: {prompt-bytes-below: 0B}",
            "10:34: routes[0].bypass.prompt-bytes-below: \"0B\" is out of range, must be 1B to"
                + " 1GiB"),
        mistake(
            "transfer: engine",
            "bypass: {}",
            "10:13: routes[0].bypass: says nothing; set prompt-bytes-below, break-even, or both"),
        mistake(
            "transfer: engine",
            "transfer: relay",
            "10:15: routes[0].transfer: relay needs a KV agent; list one under \"agents\""),
        mistake(
            "transfer: engine",
            "transfer: engin",
            "10:15: routes[0].transfer: \"engin\" is not engine, bridge, relay or auto; did you mean"
                + " \"engine\"?"),
        mistake(
            "transfer: engine",
            "verify: no",
            "10:13: routes[0].verify: \"no\" is not probe or trust"),
        mistake(
            "transfer: engine",
            "canary: never",
            "10:13: routes[0].canary: \"never\" is not auto, always or off"),
        mistake(
            "transfer: engine",
            "on-mismatch: recompte",
            "10:18: routes[0].on-mismatch: \"recompte\" is not refuse or recompute; did you mean"
                + " \"recompute\"?"),
        mistake(
            "transfer: engine",
            "on-recompute: refuse",
            "10:19: routes[0].on-recompute: \"refuse\" is not count or fail"),
        mistake(
            "admin: {port: 9090}",
            "agents: [{url: \"grpc://a:7400\", token-file: t}]",
            "2:16: agents[0].url: \"grpc://a:7400\" is not an http(s) URL such as http://10.0.0.4:8000"),
        mistake(
            "admin: {port: 9090}",
            "agents: [{url: \"http://a:7400\"}]",
            "2:10: agents[0]: \"token-file\" is missing: the file with the token that the agent asks"
                + " for"),
        mistake(
            "admin: {port: 9090}",
            "agents: [{url: \"http://a\", token-file: t}, {url: \"http://A/\", token-file: t}]",
            "2:50: agents[1].url: \"http://a\" is listed already, as agents[0].url on line 2; remove one of them"),
        mistake(
            "transfer: engine",
            "transfer: magic",
            "10:15: routes[0].transfer: \"magic\" is not engine, bridge, relay or auto"),
        mistake(
            "prefill: 60s",
            "prefill: 60",
            "11:26: routes[0].deadlines.prefill: \"60\" is not a time; write a whole number and ms, s, m"
                + " or h, such as 60s"),
        mistake(
            "prefill: 60s",
            "first_token: 60s",
            "11:17: routes[0].deadlines.first_token: is not a known key; did you mean"
                + " \"first-token\"?"),
        mistake(
            "prefill: 60s",
            "total: 0s",
            "11:24: routes[0].deadlines.total: \"0s\" is out of range, must be 1ms to 24h"),
        mistake(
            "retries: {prefill: 2}",
            "retries: {prefill: 11}",
            "12:24: routes[0].retries.prefill: is 11, must be 0 to 10"),
        mistake(
            "- match: {model: llama}",
            "- match: {}",
            "7:12: routes[0].match: \"model\" is missing: the model name that clients send"),
        mistake(
            "transfer: engine",
            "transfer: [",
            "12:5: is not YAML: while parsing a flow sequence: expected ',' or ']', but got <scalar>"),
        mistake(
            "admin:",
            "\tadmin:",
            "2:1: is not YAML: while scanning for the next token: found"
                + " character '\\t(TAB)' that cannot start any token. (Do not use \\t(TAB) for indentation)"),
        mistake(
            "admin:",
            "---\nadmin:",
            "2:1: is not YAML: expected a single document in the stream:"
                + " but found another document"),
        mistake("admin:", "*a :", "2:1: is not YAML: found undefined alias a"),
        mistake(
            "admin:",
            "a\u0007dmin:",
            "2:2: is not YAML: character U+0007 is not allowed; remove it"),
        mistake(
            "admin:",
            "a: " + "[".repeat(40) + "#",
            "2:35: is nested deeper than 32 levels, which no configuration is"));
  }

  private static Arguments mistake(String good, String bad, String complaint) {
    assertThat(GOOD).contains(good);
    return Arguments.of(good, bad, complaint);
  }

  @ParameterizedTest
  @MethodSource("mistakes")
  void parse_oneMistake_complainsOfItAlone(String good, String bad, String complaint) {
    int at = GOOD.indexOf(good);
    String text = GOOD.substring(0, at) + bad + GOOD.substring(at + good.length());

    assertThat(RoutingTablesTest.lines(RoutingTables.parse("f", text)))
        .containsExactly("f:" + complaint);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          zone | f:7:36: routes[0].decode.prefer-same: no worker of pool "d" has the label "zone"; none has any, see workers[].labels
          zoen | f:7:36: routes[0].decode.prefer-same: no worker of pool "p" has the label "zoen"; known: zone; did you mean "zone"?
          """)
  void parse_labelThatNoWorkerHas_complains(String label, String complaint) {
    String text =
        """
        pools:
          p: {role: prefill, model: llama, engine: vllm, workers: [{url: "http://a:1", labels: {zone: a}}]}
          d: {role: decode, model: llama, engine: vllm, workers: [{url: "http://b:1"}]}
        routes:
          - match: {model: llama}
            prefill: {pool: p}
            decode: {pool: d, prefer-same: %s}
        """
            .formatted(label);

    assertThat(RoutingTablesTest.lines(RoutingTables.parse("f", text))).contains(complaint);
  }

  @Test
  void parse_bypassWithoutPrefill_complains() {
    String text =
        """
        pools:
          d: {role: decode, model: llama, engine: vllm, workers: [{url: "http://b:1"}]}
        routes:
          - match: {model: llama}
            decode: {pool: d}
            bypass: {prompt-bytes-below: 1KiB}
        """;

    assertThat(RoutingTablesTest.lines(RoutingTables.parse("f", text)))
        .containsExactly(
            "f:6:13: routes[0].bypass: bypasses prefill, which this route does not have");
  }

  @ParameterizedTest
  @MethodSource("wholeTexts")
  void parse_notATable_complains(String text, String complaint) {
    assertThat(RoutingTablesTest.lines(RoutingTables.parse("f", text)))
        .containsExactly("f:" + complaint);
  }

  static Stream<Arguments> wholeTexts() {
    String aliases = "a: &a 1\nb: [" + "*a, ".repeat(101) + "]\n";
    return Stream.of(
        Arguments.of("", "1:1: is empty; there is nothing to read"),
        Arguments.of("hello", "1:1: is \"hello\", should be a mapping"),
        Arguments.of(
            "a: 1\nb: \"\\x", "2:1: is not YAML somewhere after this place; a broken \\ escape?"),
        Arguments.of("- 1", "1:1: is a list, should be a mapping"),
        Arguments.of(aliases, "2:405: uses more than 100 aliases; write out what they stand for"));
  }
}
