package dev.millrace.config;

import static dev.millrace.config.Absence.or;
import static dev.millrace.config.Absence.otherwise;
import static dev.millrace.config.Absence.required;

import dev.millrace.config.Value.Choice;
import dev.millrace.config.Value.Flag;
import dev.millrace.config.Value.Form;
import dev.millrace.config.Value.Group;
import dev.millrace.config.Value.ListOf;
import dev.millrace.config.Value.Named;
import dev.millrace.config.Value.Whole;
import dev.millrace.config.Value.Word;
import java.util.List;
import java.util.stream.Stream;

/** The keys of a routing table. */
final class RoutingTableKeys {
  private static final List<Key> TLS =
      List.of(
          new Key(
              "certificate",
              Word.PATH,
              required(),
              "a file with the certificate and those that vouch for it, in PEM"),
          new Key("key", Word.PATH, required(), "a file with its private key, in PEM"));

  private static final List<Key> UPSTREAM_TLS =
      List.of(
          new Key(
              "authorities",
              Word.PATH,
              otherwise("those of the Java runtime"),
              "a file with the certificates of those who vouch for the workers, in PEM"),
          new Key(
              "certificate",
              Word.PATH,
              otherwise("none"),
              "a file with the certificate that workers are shown that ask for one (mTLS), in PEM"),
          new Key("key", Word.PATH, otherwise("none"), "a file with its private key, in PEM"));

  private static final List<Key> UPSTREAM =
      List.of(
          new Key(
              "token-file",
              Word.PATH,
              otherwise("none"),
              "holds the token that workers are shown (vLLM's `--api-key`), instead of what clients"
                  + " show; paths count from the table's folder"),
          new Key("tls", Group.of(UPSTREAM_TLS), otherwise("none"), "for workers at `https://`"));

  private static final List<Key> CORS =
      List.of(
          new Key(
              "origins",
              new ListOf(new Form("origin or `*`", Cors.ORIGIN)),
              required(),
              "such as `[https://app.example.com]`; `*` for pages of any origin"));

  static final List<Key> LISTEN =
      List.of(
          new Key(
              "host",
              Word.HOST,
              or(Listen.DEFAULT_HOST),
              "address to bind; nothing is open to others unless you say so"),
          new Key("port", Whole.PORT, or(Listen.DEFAULT_PORT), "0 lets the system choose"),
          new Key(
              "max-body",
              Form.size(Listen.LEAST_MAX_BODY_BYTES, Listen.MOST_MAX_BODY_BYTES),
              or(Quantities.text(Listen.DEFAULT_MAX_BODY_BYTES)),
              "larger request bodies are answered 413"),
          new Key(
              "event-loops",
              new Whole(1, Listen.MOST_EVENT_LOOPS),
              otherwise("one per core"),
              "threads that move bytes"),
          new Key(
              "keys-file",
              Word.PATH,
              otherwise("none"),
              "the keys by which clients may ask, see [keys](#keys-who-may-ask); without it nobody"
                  + " is asked for one"),
          new Key(
              "tls",
              Group.of(TLS),
              otherwise("none"),
              "clients connect by TLS 1.2 or 1.3 and speak HTTP/2 or HTTP/1.1; without it in the clear"
                  + " and HTTP/1.1; the files are read again with the table"),
          new Key(
              "cors",
              Group.of(CORS),
              otherwise("none"),
              "which web pages may ask from within a browser, see [api](api.md#web-pages); without it"
                  + " none of another origin"),
          new Key(
              "shutdown-grace",
              Form.TIME,
              or(Quantities.text(Listen.DEFAULT_SHUTDOWN_GRACE)),
              "how long answers under way may take to end after SIGTERM; what is left then breaks"
                  + " off, and its blocks are released"));

  static final List<Key> ADMIN =
      List.of(
          new Key("host", Word.HOST, or(Admin.DEFAULT_HOST), "never meant to be public"),
          new Key("port", Whole.PORT, or(Admin.DEFAULT_PORT), "0 lets the system choose"));

  static final List<Key> WORKER =
      List.of(
          new Key(
              "url",
              Form.URL,
              required(),
              "scheme, host and port of the engine; nothing behind them"),
          new Key(
              "side-channel",
              Form.HOST_PORT,
              otherwise("none"),
              "where its connector answers handshakes"),
          new Key(
              "data-parallel-size",
              new Whole(1, WorkerAddress.MOST_DATA_PARALLEL),
              or(1),
              "engines behind the address (vLLM's `--data-parallel-size`); each is a worker of its"
                  + " own, named `url#dpN`, reached by `X-data-parallel-rank: N`, with its side"
                  + " channel on the port of `side-channel` plus N"),
          new Key(
              "labels",
              new Named(PoolsReader.NAME, Word.TEXT),
              otherwise("none"),
              "names with texts, such as `{zone: a}`, for `prefer-same`"));

  private static final List<Key> HEALTH =
      List.of(
          new Key(
              "consecutive-failures",
              new Whole(1, Health.MOST_LEGS),
              or(Health.defaults().consecutiveFailures()),
              "so many failed legs in a row take a worker out of use"),
          new Key(
              "failure-percent",
              new Whole(1, 100),
              or(Health.defaults().failurePercent()),
              "or so many of a hundred legs of the last half minute"),
          new Key(
              "failure-legs",
              new Whole(1, Health.MOST_LEGS),
              or(Health.defaults().failureLegs()),
              "if there were so many of them"),
          new Key(
              "ejection-time",
              Form.TIME,
              or(Quantities.text(Health.defaults().ejectionTime())),
              "how long it then gets nothing; twice as long each time that it fails its trial"),
          new Key(
              "max-ejection-time",
              Form.TIME,
              or(Quantities.text(Health.defaults().maxEjectionTime())),
              "and this long at most"),
          new Key(
              "max-ejection-percent",
              new Whole(0, 100),
              or(Health.defaults().maxEjectionPercent()),
              "most workers of the pool that are out of use at a time; one may always be, the last"
                  + " one never; 0: none ever is"));

  private static final List<Key> WORKERS_DNS =
      List.of(
          new Key(
              "name",
              new Word("host name", WorkersDnsReader.NAME),
              required(),
              "whose records are asked for, whole: search domains are not tried"),
          new Key(
              "type",
              Choice.of(DnsType.values()),
              or(DnsType.A.keyword()),
              "`A` or `AAAA`: each address is a worker; `SRV`: each address of each host is one, at"
                  + " the port that its record says"),
          new Key(
              "port",
              new Whole(1, 65535),
              otherwise("none"),
              "where the workers answer HTTP; required unless `type` is `SRV`"),
          new Key(
              "scheme",
              Choice.of(UrlScheme.values()),
              or(UrlScheme.HTTP.keyword()),
              "of the workers' URLs: `http`, or `https` by TLS"),
          new Key(
              "every",
              Form.TIME,
              or(Quantities.text(WorkersDns.DEFAULT_EVERY)),
              "how often the name server is asked; at least 1s"),
          new Key(
              "server",
              new Form("`address:port`", WorkersDnsReader.SERVER),
              otherwise("the system's first"),
              "the name server"),
          new Key(
              "side-channel-port",
              new Whole(1, 65535),
              otherwise("none"),
              "where the workers' connectors answer handshakes, at the same address"),
          new Key(
              "data-parallel-size",
              new Whole(1, WorkerAddress.MOST_DATA_PARALLEL),
              or(1),
              "as that of a worker"),
          new Key(
              "labels",
              new Named(PoolsReader.NAME, Word.TEXT),
              otherwise("none"),
              "of all of them, as those of a worker"));

  static final List<Key> POOL =
      List.of(
          new Key(
              "role",
              Choice.of(Role.values()),
              required(),
              "`prefill`: the workers compute prompts; `decode`: they generate answers; `both`: they"
                  + " do everything by themselves, or embed, rank or transcribe, for routes without"
                  + " `prefill`"),
          new Key(
              "model",
              Word.TEXT,
              required(),
              "the name by which the engines know it; clients send it, too, where no route has an alias"),
          new Key(
              "engine",
              Choice.of(EngineKind.values()),
              required(),
              "`vllm`, or `millrace-sim` for simulated engines; chooses the rules by which pairs"
                  + " are judged"),
          new Key(
              "upstream",
              Group.of(UPSTREAM),
              otherwise("nothing"),
              "what the router shows to the workers; the files are read again with the table"),
          new Key(
              "health",
              Group.of(HEALTH),
              otherwise("those below"),
              "when a worker is taken out of use for failing, see"
                  + " [operations](operations.md#workers-that-fail)"),
          new Key(
              "kv-percent",
              new Whole(1, Pool.MOST_KV_PERCENT),
              or(Pool.KV_PERCENT),
              "of pools that decode: how much of a worker's KV cache may be given away at a time,"
                  + " see [operations](operations.md#room-on-decode-workers)"),
          new Key(
              "workers",
              new ListOf(new Group(WORKER, DeclaredKeys.DECLARED), 0),
              otherwise("none"),
              "the engines; required unless they come from elsewhere, see"
                  + " [where workers come from](#where-workers-come-from)"),
          new Key(
              "workers-file",
              Word.PATH,
              otherwise("none"),
              "a file with a list of more workers, of the same keys as here, which is followed like"
                  + " the table"),
          new Key(
              "workers-dns",
              Group.of(WORKERS_DNS),
              otherwise("none"),
              "a name whose addresses are more workers; it is asked for again and again"));

  static final List<Key> AGENT =
      List.of(
          new Key("url", Form.URL, required(), "such as `http://10.0.0.9:7400`"),
          new Key(
              "token-file",
              Word.PATH,
              required(),
              "holds the token that the agent asks for; paths count from the table's folder"));

  private static final List<Key> MATCH =
      List.of(
          new Key(
              "model",
              Word.TEXT,
              required(),
              "the model that requests name; `*` stands for any run of characters, `?` for one, so"
                  + " `llama-*` is every model whose name begins so"),
          new Key(
              "paths",
              new ListOf(Choice.of(Match.PATHS)),
              otherwise("all"),
              "where they are posted"),
          new Key(
              "headers",
              new Named(MatchReader.HEADER, Word.TEXT),
              otherwise("none"),
              "headers that they have, each once and with exactly this value, such as `{x-tenant:"
                  + " acme}`"));

  private static final List<Key> SESSION =
      List.of(
          new Key("header", Word.TEXT, otherwise("none"), "a header, such as `x-session-id`"),
          new Key(
              "field",
              Word.TEXT,
              otherwise("none"),
              "a text at the top of the body, such as `user`, `prompt_cache_key` or `session_id`"));

  private static final List<Key> STAGE =
      List.of(
          new Key(
              "pool", Word.TEXT, required(), "a pool of that role, whose engines serve the model"),
          new Key(
              "policy",
              Choice.of(Policy.values()),
              or(Policy.ROUND_ROBIN.keyword()),
              "how a worker of the pool is chosen, see [policies](#policies): `round-robin`, `random`,"
                  + " `least-active`, `power-of-two`, `session-affinity` or `prefix-affinity`"),
          new Key(
              "session",
              Group.of(SESSION),
              otherwise("none"),
              "where requests name their session, one of the two; required with"
                  + " `session-affinity`"),
          new Key(
              "balance-percent",
              new Whole(Stage.LEAST_BALANCE_PERCENT, Stage.MOST_BALANCE_PERCENT),
              otherwise("" + Stage.BALANCE_PERCENT),
              "how much of the average load a worker may have that is chosen for what it remembers"
                  + " or where it is"));

  private static final Key PREFER_SAME =
      new Key(
          "prefer-same",
          Word.TEXT,
          otherwise("none"),
          "a label: workers that have the prefill worker's value are preferred while they have"
              + " room");

  private static final List<Key> DECODE =
      Stream.concat(STAGE.stream(), Stream.of(PREFER_SAME)).toList();

  private static final List<Key> BRANCH =
      List.of(
          new Key(
              "name",
              Word.TEXT,
              required(),
              "what records and metrics call it; the route's own pools are `own`"),
          new Key(
              "weight",
              new Whole(0, Split.MOST_WEIGHT),
              required(),
              "how much of all weights together its share is"),
          new Key(
              "served-model-name",
              Word.TEXT,
              otherwise("the route's"),
              "the name by which its engines are asked"),
          new Key(
              "prefill",
              Group.elsewhere(STAGE),
              otherwise("none"),
              "as that of a route; without it one worker does everything"),
          new Key("decode", Group.elsewhere(DECODE), required(), "as that of a route"));

  private static final List<Key> SPLIT =
      List.of(
          new Key(
              "weight",
              new Whole(0, Split.MOST_WEIGHT),
              required(),
              "how much of all weights together the share of the route's own pools is"),
          new Key(
              "session",
              Group.of(SESSION),
              otherwise("none"),
              "where requests name their session, one of the two: all of one take the same branch;"
                  + " requests that name none are drawn by their id"),
          new Key("branches", new ListOf(Group.of(BRANCH)), required(), "other pools"));

  private static final List<Key> BYPASS =
      List.of(
          new Key(
              "prompt-bytes-below",
              Form.size(1, Bypass.MOST_BYTES),
              otherwise("none"),
              "shorter prompts are computed by a decode worker alone"),
          new Key(
              "break-even",
              new Flag(),
              otherwise("`false`"),
              "whether prompts are that with which clients would wait longer for a hand-off, by what"
                  + " was measured, see [operations](operations.md#what-is-worth-a-hand-off)"));

  private static final List<Key> DEADLINES =
      List.of(
          new Key(
              "prefill",
              Form.TIME,
              or(Quantities.text(Deadlines.defaults().prefill())),
              "one prefill leg, from connect to its last byte"),
          new Key(
              "first-token",
              Form.TIME,
              or(Quantities.text(Deadlines.defaults().firstToken())),
              "the decode leg's first event that says something"),
          new Key(
              "stream-idle",
              Form.TIME,
              or(Quantities.text(Deadlines.defaults().streamIdle())),
              "silence between two pieces of a streamed answer, and how long its client"
                  + " may read nothing"),
          new Key(
              "total",
              Form.TIME,
              or(Quantities.text(Deadlines.defaults().total())),
              "the whole exchange, retries included"));

  private static final List<Key> RETRIES =
      List.of(
          new Key(
              "prefill",
              new Whole(0, Retries.MOST),
              or(Retries.defaults().prefill()),
              "further prefill legs after the first has failed"),
          new Key(
              "decode",
              new Whole(0, Retries.MOST),
              or(Retries.defaults().decode()),
              "further decode legs, each after a new prefill unless the worker could"
                  + " not be reached"),
          new Key(
              "budget-percent",
              new Whole(0, Retries.MOST_BUDGET_PERCENT),
              or(Retries.defaults().budgetPercent()),
              "retries of both stages that the route may add to a hundred requests, so that workers"
                  + " that all fail are not asked several times as much; ten in ten seconds are"
                  + " always allowed"));

  private static final List<Key> LIMITS =
      List.of(
          new Key(
              "concurrent",
              new Whole(1, Limits.MOST),
              or(Limits.defaults().concurrent()),
              "exchanges that have a place, from the choice of workers to the last"
                  + " byte; give it what your decode engines can serve at a time, and"
                  + " no prompt is computed before there is room for its answer"),
          new Key(
              "waiting",
              new Whole(0, Limits.MOST),
              or(Limits.defaults().waiting()),
              "exchanges that may wait for a place; more are answered 503 `overloaded`"
                  + " at once, with `Retry-After`"),
          new Key(
              "wait",
              Form.TIME,
              or(Quantities.text(Limits.defaults().patience())),
              "how long one waits before it is answered so"),
          new Key(
              "requests-per-minute",
              new Whole(1, AccessKey.MOST_PER_MINUTE),
              otherwise("no bound"),
              "of all clients together, on average; ten seconds' worth of them may come at once, more"
                  + " are answered 503 `overloaded` with `Retry-After`"),
          new Key(
              "tokens-per-minute",
              new Whole(1, AccessKey.MOST_TOKENS_PER_MINUTE),
              otherwise("no bound"),
              "likewise, of prompts and answers; a minute's worth of them may come at once, see"
                  + " [rates](operations.md#rates-of-keys-and-routes)"));

  static final List<Key> ROUTE =
      List.of(
          new Key(
              "name",
              Word.TEXT,
              otherwise("its `match.model`"),
              "what records and metrics call it; no two routes have the same"),
          new Key(
              "match",
              Group.of(MATCH),
              required(),
              "which requests take the route, see [which route](#which-route); no two routes can"
                  + " match the same"),
          new Key(
              "served-model-name",
              Word.TEXT,
              otherwise("the client's"),
              "the name by which engines are asked for the model (vLLM's `--served-model-name`),"
                  + " where clients know it by another, see [aliases](#aliases)"),
          new Key(
              "prefill",
              Group.of(STAGE),
              otherwise("none"),
              "where prompts are computed; without it the workers of `decode.pool`, which may have"
                  + " the role `both`, do everything"),
          new Key("decode", Group.of(DECODE), required(), "where answers are generated"),
          new Key(
              "split",
              Group.of(SPLIT),
              otherwise("none"),
              "shares of the requests that go to other pools, see [shares](#shares)"),
          new Key(
              "fallback",
              Word.TEXT,
              otherwise("none"),
              "the `name` of the route that takes what this one cannot serve, see"
                  + " [fallbacks](#fallbacks)"),
          new Key(
              "bypass",
              Group.of(BYPASS),
              otherwise("none"),
              "which prompts are not worth a hand-off"),
          new Key(
              "transfer",
              Choice.of(Transfer.values()),
              or(Pairing.defaults().transfer().keyword()),
              "how blocks get from prefill to decode worker: `engine`: the decode engine's own"
                  + " connector reads them; `bridge`, `relay`: by a KV agent; `auto`: the first that"
                  + " fits, per pair"),
          new Key(
              "verify",
              Choice.of(Verify.values()),
              or(Pairing.defaults().verify().keyword()),
              "`probe`: workers are asked what they are, and no pair is used before it was judged;"
                  + " `trust`: you vouch for every pair, and nobody is asked"),
          new Key(
              "canary",
              Choice.of(CanaryRule.values()),
              or(Pairing.defaults().canary().keyword()),
              "a known prompt must be answered right before a pair gets requests: `auto`: where"
                  + " block sizes differ, an agent stands between, or nobody has tried such a pair;"
                  + " `always`; `off`"),
          new Key(
              "on-mismatch",
              Choice.of(OnMismatch.values()),
              or(Pairing.defaults().onMismatch().keyword()),
              "where no pair fits: `refuse` with the reasons, or `recompute`: a decode worker"
                  + " computes the prompt itself"),
          new Key(
              "on-recompute",
              Choice.of(OnRecompute.values()),
              or(Pairing.defaults().onRecompute().keyword()),
              "a decode worker that computed a prompt again, though it was handed the blocks:"
                  + " `count` it, or `fail`: it counts against the pair"),
          new Key(
              "deadlines",
              Group.of(DEADLINES),
              otherwise("those below"),
              "how long each part of an exchange may take"),
          new Key(
              "retries",
              Group.of(RETRIES),
              otherwise("those below"),
              "how often a stage is tried again on another worker"),
          new Key(
              "limits",
              Group.of(LIMITS),
              otherwise("those below"),
              "how much is taken on at a time"));

  static final List<Key> TABLE =
      List.of(
          new Key("listen", Group.elsewhere(LISTEN), otherwise("its defaults"), "the public port"),
          new Key(
              "admin", Group.elsewhere(ADMIN), otherwise("its defaults"), "the operators' port"),
          new Key(
              "pools",
              new Named(
                  PoolsReader.NAME, Group.elsewhere(new Group(POOL, DeclaredKeys.DECLARED).all())),
              required(),
              "interchangeable workers, by name"),
          new Key(
              "agents",
              new ListOf(Group.elsewhere(AGENT)),
              otherwise("none"),
              "KV agents that release and extend hand-offs, and bridge and relay"),
          new Key(
              "routes", new ListOf(Group.elsewhere(ROUTE)), required(), "which requests go where"));

  private RoutingTableKeys() {}
}
