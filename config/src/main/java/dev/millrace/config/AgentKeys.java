package dev.millrace.config;

import static dev.millrace.config.Absence.or;
import static dev.millrace.config.Absence.otherwise;
import static dev.millrace.config.Absence.required;

import dev.millrace.config.AgentConfig.Transport;
import dev.millrace.config.Value.Choice;
import dev.millrace.config.Value.Form;
import dev.millrace.config.Value.Group;
import dev.millrace.config.Value.ListOf;
import dev.millrace.config.Value.Named;
import dev.millrace.config.Value.Whole;
import dev.millrace.config.Value.Word;
import java.util.List;
import java.util.regex.Pattern;

/** The keys of an agent's configuration. */
final class AgentKeys {
  private static final Pattern ANY_NAME = Pattern.compile("[\\s\\S]*");
  private static final Form ADDRESSES =
      new Form("address or range", Pattern.compile("[0-9A-Fa-f.:]+(/\\d{1,3})?"));
  private static final Form SIZE = Form.size(AgentReader.LEAST_BYTES, AgentReader.MOST_BYTES);

  private static final List<Key> LISTEN =
      List.of(
          new Key("host", Word.HOST, or(AgentReader.DEFAULT_HOST), "address to bind"),
          new Key("port", Whole.PORT, or(AgentReader.DEFAULT_PORT), "0 lets the system choose"));

  private static final List<Key> MEMORY =
      List.of(
          new Key(
              "budget",
              SIZE,
              or(Quantities.text(AgentReader.DEFAULT_BUDGET_BYTES)),
              "most memory that is registered at a time; a read that does not fit is" + " refused"),
          new Key(
              "serving",
              SIZE,
              otherwise("a quarter of the budget"),
              "what is set aside for each kind of decode engine that is relayed to,"
                  + " from the first relay until the agent ends"),
          new Key(
              "slab",
              SIZE,
              or(Quantities.text(AgentReader.DEFAULT_SLAB_BYTES)),
              "memory is registered in pieces of this size, each laid out for one"
                  + " geometry; none is larger than the budget"));

  private static final List<Key> DEADLINES =
      List.of(
          new Key(
              "read",
              Form.TIME,
              or(Quantities.text(AgentReader.DEFAULT_READ)),
              "bound on the deadline that callers give a read"),
          new Key(
              "handshake",
              Form.TIME,
              or(Quantities.text(AgentReader.DEFAULT_HANDSHAKE)),
              "for a handshake, and for a notification"));

  private static final List<Key> SIDE_CHANNEL =
      List.of(
          new Key("address", Form.HOST_PORT, required(), "as in `remote_host` and `remote_port`"),
          new Key("model", Word.TEXT, required(), "a name of `models`"),
          new Key(
              "connector-version",
              new Whole(1, DeclaredReader.MOST_CONNECTOR_VERSION),
              required(),
              "`NIXL_CONNECTOR_VERSION` of the engine: 14 for vLLM 0.32"),
          new Key(
              "nixl-version",
              Word.TEXT,
              otherwise("none"),
              "NIXL release of an engine that moves its blocks with NIXL: vLLM, or"
                  + " `simulate --transport nixl`, which prints it; leave it out"
                  + " for engines over `tcp`"));

  private static final List<Key> SERVING_LISTEN =
      List.of(
          new Key("host", Word.HOST, or(ServingReader.DEFAULT_HOST), "address to bind"),
          new Key(
              "ports",
              new Word("port or ports", ServingReader.PORTS),
              or(ServingReader.DEFAULT_PORTS.toString()),
              "one is used for each virtual engine; 0 lets the system" + " choose"));

  private static final List<Key> SERVING =
      List.of(
          new Key(
              "listen",
              Group.of(SERVING_LISTEN),
              otherwise("those below"),
              "where handshakes are answered"),
          new Key(
              "advertise",
              Word.HOST,
              otherwise("`side-channel.listen.host`"),
              "where decode engines reach it"),
          new Key(
              "readers",
              new ListOf(ADDRESSES),
              required(),
              "addresses of the decode engines, such as `[10.0.0.0/8]`; connections of"
                  + " others are closed unread"));

  static final List<Key> AGENT =
      List.of(
          new Key("listen", Group.of(LISTEN), otherwise("those below"), "where calls are taken"),
          new Key(
              "token-file",
              Word.PATH,
              required(),
              "holds what callers must know: at least 16 printable characters. Paths count from the"
                  + " configuration's folder"),
          new Key(
              "transport",
              Choice.of(Transport.values()),
              or(AgentReader.DEFAULT_TRANSPORT.keyword()),
              "`tcp`: between Millrace's own processes; `nixl`: for vLLM (`scripts/fetch-nixl.sh`"
                  + " gets it)"),
          new Key(
              "secret-file",
              Word.PATH,
              otherwise("required with `tcp`"),
              "holds what transports share, at least 16 bytes; vLLM knows none"),
          new Key("memory", Group.of(MEMORY), otherwise("those below"), "memory for copies"),
          new Key(
              "hold",
              Form.TIME,
              or(Quantities.text(AgentReader.DEFAULT_HOLD)),
              "how long a copy is kept unless it is extended or released"),
          new Key(
              "deadlines",
              Group.of(DEADLINES),
              otherwise("those below"),
              "how long calls of engines may take"),
          new Key(
              "reads-at-once",
              new Whole(1, AgentReader.MOST_READS_AT_ONCE),
              or(AgentReader.DEFAULT_READS_AT_ONCE),
              "more are refused"),
          new Key(
              "models",
              new Named(ANY_NAME, Group.elsewhere(ModelKeys.shape(required()))),
              required(),
              "what a handshake does not say: `layers`, `kv-heads`, `head-size` and the others of"
                  + " [`model-config`](configuration.md) that shape the cache, by names that you"
                  + " choose"),
          new Key(
              "side-channels",
              new ListOf(Group.of(SIDE_CHANNEL)),
              required(),
              "whom the agent may ask. Nobody else is ever contacted"),
          new Key(
              "side-channel",
              Group.of(SERVING),
              otherwise("closed"),
              "where the agent answers decode engines' handshakes, to bridge and relay. Neither"
                  + " vLLM's side channel nor NIXL knows authentication: whoever may ask may read"
                  + " what is served"));

  private AgentKeys() {}
}
