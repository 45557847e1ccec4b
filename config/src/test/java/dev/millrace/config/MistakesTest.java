package dev.millrace.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What operators get wrong, and what they are told: where it is, what stands there, and what to do.
 * A caret stands before the place; what a file needs beside the mistake is added behind it.
 */
class MistakesTest {
  private static final String MARK = "^";

  private static final String POOLS =
      """
      pools:
        p: {role: prefill, model: llama, engine: vllm, workers: [{url: "http://a:1"}]}
        d: {role: decode, model: llama, engine: vllm, workers: [{url: "http://b:1"}]}
      """;

  private static final String ROUTES =
      """
      routes:
        - {match: {model: llama}, prefill: {pool: p}, decode: {pool: d}}
      """;

  private static final String AGENT =
      """
      token-file: agent.token
      secret-file: transport.secret
      models: {llama: {layers: 32, kv-heads: 8, head-size: 128, dtype: bf16}}
      side-channels: [{address: "10.0.0.1:5600", model: llama, connector-version: 14}]
      """;

  static Stream<Arguments> ofRoutingTables() {
    return Stream.of(
        // ---- listen and admin ----
        mistake("listen: {port: ^70000}", "70000", "must be 0 to 65535"),
        mistake("listen: {port: ^http}", "\"http\"", "whole number from 0 to 65535"),
        mistake(
            """
            listen:
              host: ^0.0.0.0:8080
            """,
            "\"0.0.0.0:8080\"",
            "ports have a key of their own"),
        mistake("listen: {max-body: ^16MB}", "\"16MB\"", "such as 16MiB"),
        mistake("listen: {max-body: ^2GiB}", "\"2GiB\"", "must be 1KiB to 1GiB"),
        mistake("listen: {event-loops: ^0}", "is 0", "must be 1 to 1024"),
        mistake(
            "listen: {cors: {origins: [^https://app.example.com/]}}",
            "\"https://app.example.com/\"",
            "nothing behind it"),
        mistake(
            "listen: {cors: {origins: [^App.example.com]}}", "App.example.com", "scheme://host"),
        mistake("listen: {cors: ^{}}", "\"origins\" is missing", "https://app.example.com"),
        mistake(
            "listen: {cors: {origins: [\"*\"], ^orgins: [x]}}",
            "orgins",
            "did you mean \"origins\"?"),
        mistake("listen: {shutdown-grace: ^25}", "\"25\"", "such as 60s"),
        mistake("listen: {shutdown-grace: ^25h}", "\"25h\"", "must be 1ms to 24h"),
        mistake("listen: ^8080", "\"8080\"", "should be a mapping"),
        mistake("admin: {host:^ , port: 9090}", "admin.host: is empty", "should be text"),
        mistake("admin: {host: ^\" \"}", "blank", "give it a value or remove the key"),
        mistake(
            """
            listen: {port: 9000}
            admin: ^{port: 9000}
            """,
            "127.0.0.1:9000",
            "cannot share"),
        mistake("admin: {port: ^!int 9090}", "\"!int\"", "remove it"),
        mistake(
            """
            admin:
              port: ^${NO_SUCH_PORT}
            """,
            "${NO_SUCH_PORT}",
            "write ${NO_SUCH_PORT:-otherwise}"),
        // ---- keys ----
        mistake("listen: {^prot: 8080}", "listen.prot", "did you mean \"port\"?"),
        mistake(
            "^telemetry: {port: 4317}",
            "telemetry",
            "known here: listen, admin, pools, agents, routes"),
        mistake(
            """
            admin: {port: 9090}
            ^admin: {port: 9091}
            """,
            "admin: stands here a second time",
            "first on line 1; keep one"),
        mistake("listen: {port: 8080, ^port: 8081}", "listen.port", "keep one"),
        mistake(
            """
            ? ^[a, b]
            : 1
            """,
            "not text",
            "write a plain word"),
        mistake(
            """
            listen: &defaults {host: 127.0.0.1}
            admin:
              ^<<: *defaults
            """,
            "admin.\"<<\"",
            "YAML 1.2 has no merge keys"),
        // ---- pools ----
        mistake("pools: ^[]", "a list", "should be a mapping"),
        mistake(
            pool("{role: ^prefil, model: m, engine: vllm, workers: [{url: \"http://c:1\"}]}"),
            "\"prefil\"",
            "did you mean \"prefill\"?"),
        mistake(
            pool("{role: decode, model: m, engine: ^sglang, workers: [{url: \"http://c:1\"}]}"),
            "\"sglang\"",
            "vllm or millrace-sim"),
        mistake(
            pool("^{role: decode, engine: vllm, workers: [{url: \"http://c:1\"}]}"),
            "\"model\" is missing",
            "the model name that clients send"),
        mistake(
            pool("{role: decode, model: m, engine: vllm, workers: ^none}"),
            "\"none\"",
            "should be a list"),
        mistake(
            """
            pools:
              ^q/1: {role: decode, model: m, engine: vllm, workers: [{url: "http://c:1"}]}
              p: {role: prefill, model: llama, engine: vllm, workers: [{url: "http://a:1"}]}
              d: {role: decode, model: llama, engine: vllm, workers: [{url: "http://b:1"}]}
            """,
            "q/1",
            "use up to 63 letters, digits"),
        // ---- workers ----
        mistake(worker("{url: ^\"10.0.0.4:8000\"}"), "\"10.0.0.4:8000\"", "such as http://10.0.0"),
        mistake(worker("{url: ^\"http://c:1/v1\"}"), "\"http://c:1/v1\"", "host and port only"),
        mistake(worker("{url: ^\"http://me:hidden@c:1\"}"), "\"http://***@c:1\"", "leave them out"),
        mistake(worker("{url: ^\"http://a:1\"}"), "\"http://a:1\"", "remove one of them"),
        mistake(
            worker("{url: \"http://c:1\", side-channel: ^5600}"), "\"5600\"", "is not host:port"),
        mistake(
            worker("{url: \"http://c:1\", side-channel: ^\"c:65535\", data-parallel-size: 3}"),
            "\"c:65535\"",
            "choose a lower one"),
        mistake(worker("^{data-parallel-size: 2}"), "\"url\" is missing", "such as http://"),
        mistake(
            pool("{role: decode, model: m, engine: vllm, workers-file: ^[w.yaml]}"),
            "a list",
            "should be text"),
        mistake(
            pool("^{role: decode, model: m, engine: vllm}"),
            "\"workers\" is missing",
            "or name a workers-file or workers-dns"),
        // ---- names of workers ----
        mistake(dns("{name: ^\"p..svc\", port: 1}"), "\"p..svc\"", "such as prefill.llm.svc"),
        mistake(dns("^{port: 8000}"), "\"name\" is missing", "such as prefill.llm.svc"),
        mistake(dns("^{name: p.svc}"), "\"port\" is missing", "such as 8000"),
        mistake(dns("{name: p.svc, type: ^MX, port: 1}"), "\"MX\"", "A, AAAA or SRV"),
        mistake(dns("{name: p.svc, type: SRV, port: ^1}"), "type SRV", "have their own"),
        mistake(dns("{name: p.svc, port: 1, scheme: ^grpc}"), "\"grpc\"", "http or https"),
        mistake(dns("{name: p.svc, port: 1, every: ^100ms}"), "100ms", "at least 1000ms"),
        mistake(
            dns("{name: p.svc, port: 1, server: ^\"dns.svc:53\"}"),
            "\"dns.svc:53\"",
            "such as 10.96.0.10:53"),
        mistake(
            dns("{name: p.svc, port: 1, side-channel-port: ^65535, data-parallel-size: 2}"),
            "\"65535\"",
            "choose a lower one"),
        mistake(dns("{name: p.svc, port: 1, ^ever: 5s}"), "ever", "did you mean \"every\"?"),
        // ---- what is declared ----
        mistake(declared("vllm-version: ^latest"), "\"latest\"", "such as 0.32.0"),
        mistake(declared("connector-version: ^0"), "is 0", "must be 1 to 1000"),
        mistake(declared("geometry: ^\"tp=2,blk=16\""), "\"blk\"", "known keys: tp, pp"),
        mistake(declared("geometry: ^\"tp=2,heads=8\""), "\"heads\"", "say it in model-config"),
        mistake(
            declared("model-config: ^{layers: 8, kv-heads: 8, head-size: 64}"),
            "\"dtype\" is missing",
            "such as bf16"),
        mistake(
            declared("model-config: ^{layers: 8, kv-heads: 8, head-size: 64, dtype: bf17}"),
            "\"bf17\"",
            "known: fp32"),
        mistake(declared("model-config: {architecture: ^moo}"), "\"moo\"", "did you mean \"moe\"?"),
        mistake(declared("prefix-caching: ^yes"), "\"yes\"", "true or false"),
        mistake(declared("transfer-mode: ^puhs"), "\"puhs\"", "did you mean \"push\"?"),
        mistake(declared("kv-transfer-config: ^NixlConnector"), "\"NixlConnector\"", "as JSON"),
        mistake(declared("kv-transfer-config: ^{kv_role: kv_both}"), "kv_connector", "missing"),
        mistake(declared("lease: ^5min"), "\"5min\"", "ms, s, m or h"),
        // ---- agents ----
        mistake(
            "agents: [{url: ^\"grpc://a:7400\", token-file: t}]",
            "\"grpc://a:7400\"",
            "is not an http(s) URL such as"),
        mistake(
            "agents: [^{url: \"http://a:7400\"}]",
            "\"token-file\" is missing",
            "the file with the token that the agent asks for"),
        mistake(
            """
            agents:
              - {url: "http://a:7400", token-file: t}
              - {url: ^"http://A:7400/", token-file: t}
            """,
            "\"http://a:7400\"",
            "as agents[0].url on line 2; remove one"),
        // ---- routes ----
        mistake("routes: ^[]", "empty list", "needs at least one item"),
        mistake(
            """
            routes:
              - {match: {^modle: llama, model: llama}, decode: {pool: d}, prefill: {pool: p}}
            """,
            "modle",
            "did you mean \"model\"?"),
        mistake(
            """
            routes:
              - {match: {model: llama}, prefill: {pool: p}, decode: {pool: d}}
              - {match: {model: ^llama}, prefill: {pool: p}, decode: {pool: d}}
            """,
            "\"llama\"",
            "remove one of them"),
        mistake(
            """
            routes:
              - {match: {model: llama, headers: {X-Tenant: a, x-b: b}}, prefill: {pool: p}, decode: {pool: d}}
              - {match: {model: ^llama, headers: {x-b: b, x-tenant: a}}, name: other, prefill: {pool: p}, decode: {pool: d}}
            """,
            "with the same paths and headers",
            "remove one of them"),
        mistake(
            """
            routes:
              - {match: {model: llama}, prefill: {pool: p}, decode: {pool: d}}
              - {match: ^{model: llama, paths: [/v1/completions]}, prefill: {pool: p}, decode: {pool: d}}
            """,
            "called \"llama\", too",
            "give this one a \"name\" of its own"),
        mistake(matching("paths: [^/v1/completion]"), "\"/v1/completion\"", "\"/v1/completions\"?"),
        mistake(matching("headers: {^Connection: close}"), "Connection", "such as x-tenant"),
        mistake(matching("headers: {^x-data-parallel-rank: 1}"), "to Millrace", "such as x-tenant"),
        mistake(matching("headers: {^Authorization: a}"), "a secret", "see listen.keys-file"),
        mistake(matching("headers: {^x tenant: a}"), "x tenant", "such as x-tenant"),
        mistake(matching("headers: {x-a: b, ^X-A: b}"), "X-A", "keep one of them"),
        mistake(matching("headers: {x-a: ^\" b\"}"), "\" b\"", "without white space around it"),
        mistake(matching("headers: ^{}"), "names no header", "remove the key"),
        mistake(
            routeWith("served-model-name: ^llama-*"), "\"llama-*\"", "engines are asked for one"),
        mistake(
            pool("{role: both, model: llama, engine: vllm, workers: [{url: \"http://c:1\"}]}")
                + "routes: [{match: {model: gpt}, served-model-name: llam, decode: {pool: ^q}}]",
            "asks for \"llam\"",
            "there is no decode pool of this model"),
        mistake(
            pool("{role: both, model: llama, engine: vllm, workers: [{url: \"http://c:1\"}]}")
                + "routes: [{match: {model: qw*}, decode: {pool: ^q}}]",
            "asks for \"qw*\"",
            "there is no decode pool of this model"),
        mistake(
            pool("{role: decode, model: llama-8b, engine: vllm, workers: [{url: \"http://c:1\"}]}")
                + "routes: [{match: {model: llama*}, prefill: {pool: p}, decode: {pool: ^q}}]",
            "\"llama-8b\"",
            "both stages need the same"),
        mistake(route("prefill: {pool: ^pp}, decode: {pool: d}"), "\"pp\"", "known: d, p"),
        mistake(route("prefill: {pool: ^d}, decode: {pool: d}"), "\"d\"", "pools that fit: p"),
        mistake(
            "routes: [^{match: {model: llama}, prefill: {pool: p}}]",
            "\"decode\" is missing",
            "{pool: NAME}"),
        mistake(
            pool("{role: decode, model: qwen, engine: vllm, workers: [{url: \"http://c:1\"}]}")
                + route("prefill: {pool: p}, decode: {pool: ^q}"),
            "\"qwen\"",
            "pools that fit: d"),
        mistake(
            pool("{role: both, model: llama, engine: vllm, workers: [{url: \"http://c:1\"}]}")
                + route("prefill: {pool: p}, decode: {pool: ^q}"),
            "role both",
            "for routes without prefill"),
        mistake(
            route("decode: {pool: d, policy: ^sticky}, prefill: {pool: p}"),
            "\"sticky\"",
            "round-robin, least-active"),
        mistake(split("weight: ^-1", "name: b, weight: 5"), "is -1", "must be 0 to 1000000"),
        mistake(split("^weight: 0", "name: b, weight: 0"), "are all 0", "give one of them a share"),
        mistake(split("weight: 1", "name: ^own, weight: 5"), "\"own\"", "choose another name"),
        mistake(split("weight: 1", "^weight: 5"), "\"name\" is missing", "metrics call it"),
        mistake(
            routeWith(
                "split: {weight: 1, branches: [{name: b, weight: 1, served-model-name: q, decode:"
                    + " {pool: ^d}}]}"),
            "asks for \"q\"",
            "no decode pool of this model"),
        mistake(routeWith("split: ^{weight: 1}"), "\"branches\" is missing", "{name, weight"),
        mistake(routeWith("fallback: ^lama"), "no route \"lama\"; known: llama", "mean \"llama\"?"),
        mistake(routeWith("fallback: ^llama"), "llama -> llama", "has to be the last"),
        mistake(
            """
            routes:
              - {match: {model: l*}, name: in, fallback: a, prefill: {pool: p}, decode: {pool: d}}
              - {match: {model: ll*}, name: a, fallback: ^b, prefill: {pool: p}, decode: {pool: d}}
              - {match: {model: lla*}, name: b, fallback: a, prefill: {pool: p}, decode: {pool: d}}
            """,
            "a -> b -> a",
            "one of these routes has to be the last"),
        mistake(
            """
            routes:
              - {match: {model: l*}, name: a, fallback: ^b, prefill: {pool: p}, decode: {pool: d}}
              - {match: {model: ll*}, name: b, fallback: c, prefill: {pool: p}, decode: {pool: d}}
              - {match: {model: lla*}, name: c, fallback: d, prefill: {pool: p}, decode: {pool: d}}
              - {match: {model: llam*}, name: d, fallback: e, prefill: {pool: p}, decode: {pool: d}}
              - {match: {model: llama*}, name: e, fallback: f, prefill: {pool: p}, decode: {pool: d}}
              - {match: {model: llama}, name: f, prefill: {pool: p}, decode: {pool: d}}
            """,
            "5 more routes, a -> b -> c -> d -> e -> f",
            "4 are the most"),
        mistake(routeWith("transfer: ^nixl"), "\"nixl\"", "engine, bridge, relay or auto"),
        mistake(routeWith("transfer: ^relay"), "relay", "list one under \"agents\""),
        mistake(routeWith("verify: ^off"), "\"off\"", "probe or trust"),
        mistake(routeWith("canary: ^allways"), "\"allways\"", "did you mean \"always\"?"),
        mistake(routeWith("on-mismatch: ^ignore"), "\"ignore\"", "refuse or recompute"),
        mistake(routeWith("on-recompute: ^[count]"), "a list", "should be text"),
        mistake(routeWith("deadlines: {^first_token: 1s}"), "first_token", "mean \"first-token\"?"),
        mistake(routeWith("deadlines: {total: ^0s}"), "\"0s\"", "must be 1ms to 24h"),
        mistake(routeWith("deadlines: {prefill: ^2d}"), "\"2d\"", "ms, s, m or h"),
        mistake(declared("health: {consecutive-failures: ^0}"), "is 0", "must be 1 to 10000"),
        mistake(declared("health: {failure-percent: ^0}"), "is 0", "must be 1 to 100"),
        mistake(declared("health: {max-ejection-percent: ^150}"), "is 150", "must be 0 to 100"),
        mistake(declared("health: {ejection-time: ^5}"), "\"5\"", "ms, s, m or h"),
        mistake(declared("health: {^max-ejection: 5s}"), "max-ejection", "max-ejection-time"),
        mistake(routeWith("bypass: {break-even: ^maybe}"), "\"maybe\"", "not true or false"),
        mistake(declared("kv-percent: ^0"), "is 0", "must be 1 to 1000"),
        mistake(
            pool(
                "{role: prefill, model: llama, engine: vllm, kv-percent: ^90, workers: [{url: \"http://c:1\"}]}"),
            "kv-percent",
            "is of pools that decode; remove it"),
        mistake(declared("health: ^off"), "\"off\"", "should be a mapping"),
        mistake(routeWith("retries: {prefill: ^11}"), "is 11", "must be 0 to 10"),
        mistake(routeWith("retries: {budget-percent: ^101}"), "is 101", "must be 0 to 100"),
        mistake(
            routeWith("retries: {budget-percent: ^10%}"), "\"10%\"", "whole number from 0 to 100"),
        mistake(
            routeWith("retries: {^budget: 10}"),
            "budget",
            "known here: prefill, decode, budget-percent"),
        mistake(routeWith("limits: {concurrent: ^0}"), "is 0", "must be 1 to 1000000"),
        mistake(routeWith("limits: {^wiating: 8}"), "wiating", "did you mean \"waiting\"?"),
        mistake(routeWith("limits: {wait: ^10}"), "\"10\"", "ms, s, m or h"),
        mistake(routeWith("limits: {tokens-per-minute: ^0}"), "is 0", "must be 1 to 2000000000"),
        mistake(
            routeWith("limits: {requests-per-minute: ^10/s}"), "\"10/s\"", "whole number from 1"),
        mistake(routeWith("retries: ^3"), "\"3\"", "should be a mapping"),
        // ---- YAML ----
        mistake(
            """
            listen: {port: 8080
            admin^: {port: 9090}
            """,
            "is not YAML",
            "expected ',' or '}'"),
        mistake(
            """
            listen:
            ^\tport: 8080
            """,
            "\\t(TAB)",
            "Do not use"),
        mistake("listen: ^*defaults", "defaults", "undefined alias"),
        mistake("listen: \"\\^q\"", "q", "unknown escape character"),
        mistake(
            """
            ---
            listen: {port: 8080}
            ^---
            """,
            "another document",
            "expected a single document"));
  }

  static Stream<Arguments> ofAgents() {
    return Stream.of(
        mistake("transport: ^ucx", "\"ucx\"", "tcp or nixl"),
        mistake("memory: {budget: 1GiB, slab: ^2GiB}", "2147483648", "budget of 1073741824"),
        mistake("reads-at-once: ^2000", "2000", "must be 1 to 1024"),
        mistake("^hald: 60s", "hald", "did you mean \"hold\"?"),
        mistake(
            "models: {llama: ^{layers: 32, kv-heads: 8, dtype: bf16}}",
            "\"head-size\" is missing",
            "elements of a head"),
        mistake(
            """
            models:
              llama: ^{layers: 32, latent: 576, kv-heads: 8, head-size: 128, dtype: bf16}
            """,
            "heads",
            "use latent="),
        mistake(
            "side-channels: [{address: \"10.0.0.1:5600\", model: ^lama, connector-version: 14}]",
            "\"lama\"",
            "did you mean \"llama\"?"),
        mistake(
            "side-channels: [{address: ^\"10.0.0.1\", model: llama, connector-version: 14}]",
            "\"10.0.0.1\"",
            "such as 10.0.0.4:5600"),
        mistake(
            "side-channel: {listen: {ports: ^7509-7500}, readers: [10.0.0.0/8]}",
            "\"7509-7500\"",
            "such as 7410-7473"),
        mistake(
            "side-channel: {listen: ^{host: 0.0.0.0}, readers: [10.0.0.0/8]}",
            "0.0.0.0",
            "say in side-channel.advertise"),
        mistake(
            "side-channel: {readers: [^engine-1]}",
            "\"engine-1\"",
            "such as 10.0.0.7 or 10.0.0.0/8"));
  }

  static Stream<Arguments> ofAccessKeys() {
    return Stream.of(
        mistake("keys: ^[]", "empty list", "needs at least one item"),
        mistake("keys: [^{name: a}]", "\"sha256\" is missing", "millrace keys new NAME"),
        mistake(key("sha256: ^abc"), "not a SHA-256 hash", "millrace keys new NAME"),
        mistake(key("sha256: HASH, priority: ^101"), "is 101", "must be -100 to 100"),
        mistake(key("sha256: HASH, models: ^llama"), "\"llama\"", "should be a list"),
        mistake(key("sha256: HASH, ^requests-per-min: 9"), "requests-per-min", "did you mean"));
  }

  private static String key(String said) {
    return "keys: [{name: a, " + said.replace("HASH", "ab".repeat(32)) + "}]";
  }

  private static String pool(String pool) {
    return POOLS + "  q: " + pool + "\n";
  }

  private static String worker(String worker) {
    return pool("{role: decode, model: llama, engine: vllm, workers: [" + worker + "]}");
  }

  private static String dns(String question) {
    return pool("{role: decode, model: llama, engine: vllm, workers-dns: " + question + "}");
  }

  private static String declared(String said) {
    return pool(
        "{role: decode, model: llama, engine: vllm, workers: [{url: \"http://c:1\"}], "
            + said
            + "}");
  }

  private static String route(String stages) {
    return "routes: [{match: {model: llama}, " + stages + "}]";
  }

  private static String split(String own, String branch) {
    boolean ofAll = own.startsWith(MARK);
    boolean ofBranch = branch.startsWith(MARK);
    return routeWith(
        "split: %s{%s, branches: [%s{%s, decode: {pool: d}}]}"
            .formatted(
                ofAll ? MARK : "",
                ofAll ? own.substring(1) : own,
                ofBranch ? MARK : "",
                ofBranch ? branch.substring(1) : branch));
  }

  private static String matching(String conditions) {
    return "routes: [{match: {model: llama, "
        + conditions
        + "}, prefill: {pool: p}, decode: {pool: d}}]";
  }

  private static String routeWith(String said) {
    return route("prefill: {pool: p}, decode: {pool: d}, " + said);
  }

  private static Arguments mistake(String marked, String value, String remedy) {
    return Arguments.of(marked, value, remedy);
  }

  @ParameterizedTest
  @MethodSource("ofRoutingTables")
  void ofARoutingTable_isShownWithItsRemedy(String marked, String value, String remedy) {
    String text = unmarked(marked);
    String whole =
        text + (hasKey(text, "pools") ? "" : POOLS) + (hasKey(text, "routes") ? "" : ROUTES);

    assertShown(Example.ROUTING_TABLE, whole, marked, value, remedy);
  }

  @ParameterizedTest
  @MethodSource("ofAgents")
  void ofAnAgent_isShownWithItsRemedy(String marked, String value, String remedy) {
    String text = unmarked(marked);
    String rest =
        AGENT
            .lines()
            .filter(line -> !hasKey(text, line.substring(0, line.indexOf(':'))))
            .collect(Collectors.joining("\n"));

    assertShown(Example.AGENT, text + rest, marked, value, remedy);
  }

  @ParameterizedTest
  @MethodSource("ofAccessKeys")
  void ofAFileOfKeys_isShownWithItsRemedy(String marked, String value, String remedy) {
    assertShown(Example.ACCESS_KEYS, unmarked(marked), marked, value, remedy);
  }

  private static void assertShown(
      Example kind, String text, String marked, String value, String remedy) {
    assertThat(kind.complaints(text))
        .singleElement()
        .satisfies(complaint -> {
          assertThat(complaint.line() + ":" + complaint.column())
              .as("place of %s", complaint)
              .isEqualTo(place(marked));
          assertThat(complaint.toString()).startsWith("f:").contains(value).contains(remedy);
        });
  }

  private static boolean hasKey(String text, String key) {
    return text.lines().anyMatch(line -> line.startsWith(key + ":"));
  }

  private static String unmarked(String marked) {
    String text = marked.replace(MARK, "");
    return text.endsWith("\n") ? text : text + "\n";
  }

  /** Where the mark stands, as {@code line:column}. */
  private static String place(String marked) {
    Place place = Place.after(marked, marked.indexOf(MARK));
    return place.line() + ":" + place.column();
  }

  // ---- texts and files as a whole ----

  static Stream<Arguments> wholes() {
    return Stream.of(
        Arguments.of("", "1:1", "is empty", "nothing to read"),
        Arguments.of("routes.yaml", "1:1", "\"routes.yaml\"", "should be a mapping"),
        Arguments.of(
            "a: &a 1\nb: [" + "*a, ".repeat(101) + "]", "2:405", "100 aliases", "write out"),
        Arguments.of("a: " + "[".repeat(40), "1:35", "32 levels", "no configuration is"),
        Arguments.of(
            "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n" + POOLS + ROUTES,
            "1:1",
            "a",
            "known here"),
        Arguments.of("a\u0007: 1", "1:2", "U+0007", "remove it"));
  }

  @ParameterizedTest
  @MethodSource("wholes")
  void ofAWholeText_isShownWithItsRemedy(String text, String place, String value, String remedy) {
    assertThat(Example.ROUTING_TABLE.complaints(text).getFirst().toString())
        .startsWith("f:" + place + ": ")
        .contains(value)
        .contains(remedy);
  }

  @TempDir Path folder;

  @Test
  void ofAFileThatIsNotThere_isShownWithItsRemedy() {
    assertThat(read(Path.of("no/such.yaml")))
        .isEqualTo(
            "no/such.yaml:1:1: there is no such file; looked for "
                + Path.of("no/such.yaml").toAbsolutePath());
  }

  @Test
  void ofAFolder_isShownWithItsRemedy() {
    assertThat(read(folder))
        .isEqualTo(folder + ":1:1: is a folder and cannot be read; name a file in it");
  }

  @Test
  void ofAnotherEncoding_isShownWithItsRemedy() throws IOException {
    Path file = folder.resolve("latin1.yaml");
    Files.write(file, "listen: {host: caf\u00e9}\n".getBytes(StandardCharsets.ISO_8859_1));

    assertThat(read(file)).isEqualTo(file + ":1:19: is not UTF-8 from here on; save it as UTF-8");
  }

  private static String read(Path file) {
    return RoutingTablesTest.lines(RoutingTables.read(file)).getFirst();
  }
}
