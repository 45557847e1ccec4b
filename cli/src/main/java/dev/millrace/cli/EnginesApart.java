package dev.millrace.cli;

import dev.millrace.config.AgentAddress;
import dev.millrace.config.HostPort;
import dev.millrace.layout.CacheGroup;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.ModelShape;
import dev.millrace.simulator.Pairing;
import java.io.IOException;
import java.io.PrintWriter;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;

/**
 * Engines and a KV agent in processes of their own: what crashes in native code there does not end
 * the router here. Each keeps its ports when it is started again.
 */
final class EnginesApart implements DemoEngines {
  private static final String LOOPBACK = "127.0.0.1";
  private static final int TOKEN_BYTES = 32;

  /** Holds the secret that simulated engines share, which is none. */
  private static final String SECRET = "transport.secret";

  private static final Pattern ENGINE_IS_READY =
      Pattern.compile(
          " at (?<uri>http://[^ :]+:(?<port>\\d+)), side channel [^ ,]+:(?<side>\\d+)(?:, NIXL (?<nixl>\\S+))?$");
  private static final Pattern AGENT_IS_READY = Pattern.compile("^agent at [^ ]+:(?<port>\\d+), ");

  private final DemoSetup setup;
  private final PrintWriter out;
  private final Path folder;
  private final List<Child> prefill = new ArrayList<>();
  private final List<Child> decode = new ArrayList<>();
  private final List<Child> agents = new ArrayList<>();

  /**
   * Starts them.
   *
   * @param out takes what they print
   */
  EnginesApart(DemoSetup setup, PrintWriter out) {
    this.setup = setup;
    this.out = out;
    try {
      this.folder = Files.createTempDirectory("millrace-demo-");
    } catch (IOException e) {
      throw Failure.usage("no temporary folder can be made: " + e.getMessage());
    }
    try {
      for (int i = 1; i <= setup.prefillCount(); i++) {
        prefill.add(engine("prefill", i, setup.prefill(), Duration.ZERO));
      }
      for (int i = 1; i <= setup.decodeCount(); i++) {
        decode.add(engine("decode", i, setup.decode(), setup.interToken()));
      }
      // Whom the agent may ask must be known when it starts.
      prefill.forEach(Child::ready);
      if (setup.hasGoBetween()) {
        decode.forEach(Child::ready);
      }
      if (!hasStates(setup.prefill().model())) {
        agents.add(new Child("agent", AGENT_IS_READY, this::agentArguments, out));
      }
      agents.forEach(Child::ready);
      decode.forEach(Child::ready);
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  /** An agent's configuration has no words for states. */
  private static boolean hasStates(ModelShape model) {
    return model.stateBytes() > 0;
  }

  private Child engine(String role, int number, GeometrySpec geometry, Duration interToken) {
    return new Child(
        role + "-" + number,
        ENGINE_IS_READY,
        before -> {
          List<String> arguments =
              new ArrayList<>(
                  List.of(
                      "simulate",
                      "--role=" + role,
                      "--model=" + DemoSetup.MODEL,
                      "--transport=" + setup.transport(),
                      "--pairing=" + (setup.hasGoBetween() ? Pairing.VLLM : Pairing.ANY),
                      "--inter-token-ms=" + interToken.toMillis(),
                      "--port=" + port(before, "port"),
                      "--side-channel-port=" + port(before, "side")));
          arguments.addAll(ShapeOptions.flags(geometry));
          return arguments;
        },
        out);
  }

  private static String port(Optional<MatchResult> before, String group) {
    return before.map(said -> said.group(group)).orElseGet(() -> Integer.toString(KeptPort.any()));
  }

  private List<String> agentArguments(Optional<MatchResult> before) throws IOException {
    Path token = token();
    if (Files.notExists(token)) {
      Files.createFile(
          token,
          PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
      byte[] bytes = new byte[TOKEN_BYTES];
      new SecureRandom().nextBytes(bytes);
      Files.writeString(token, HexFormat.of().formatHex(bytes));
    }
    Files.writeString(folder.resolve(SECRET), "millrace-simulator");
    Path config = folder.resolve("agent.yaml");
    Files.writeString(config, agentYaml(port(before, "port")));
    return List.of("agent", "--config=" + config);
  }

  private String agentYaml(String port) {
    ModelShape model = setup.prefill().model();
    String heads =
        model.isMla()
            ? "latent: %d".formatted(model.headSize())
            : "kv-heads: %d, head-size: %d".formatted(model.kvHeads(), model.headSize());
    String window =
        model.groups().getFirst() instanceof CacheGroup.SlidingWindow sliding
            ? ", window: " + sliding.windowTokens()
            : "";
    StringBuilder yaml = new StringBuilder();
    yaml.append("listen: {host: %s, port: %s}%n".formatted(LOOPBACK, port));
    yaml.append("token-file: %s%n".formatted(token().getFileName()));
    yaml.append("secret-file: %s%n".formatted(SECRET));
    yaml.append("transport: %s%n".formatted(setup.transport().name().toLowerCase(Locale.ROOT)));
    yaml.append("memory: {budget: 256MiB, slab: 16MiB, serving: 64MiB}%n".formatted());
    if (setup.hasGoBetween()) {
      yaml.append("side-channel: {listen: {ports: 0}, readers: [%s]}%n".formatted(LOOPBACK));
    }
    yaml.append("models:%n".formatted());
    yaml.append(
        "  %s: {layers: %d, %s, dtype: %s%s}%n"
            .formatted(
                DemoSetup.MODEL, model.layers(), heads, model.element().shortName(), window));
    yaml.append("side-channels:%n".formatted());
    List<Child> known = new ArrayList<>(prefill);
    if (setup.hasGoBetween()) {
      known.addAll(decode);
    }
    for (Child engine : known) {
      MatchResult said = engine.ready();
      String nixl = said.group("nixl");
      yaml.append(
          "  - {address: \"%s:%s\", model: %s, connector-version: 14%s}%n"
              .formatted(
                  LOOPBACK,
                  said.group("side"),
                  DemoSetup.MODEL,
                  nixl == null ? "" : ", nixl-version: " + nixl));
    }
    return yaml.toString();
  }

  private Path token() {
    return folder.resolve("agent.token");
  }

  @Override
  public List<DemoEngine> prefill() {
    return prefill.stream().map(engine -> described(engine, setup.prefill())).toList();
  }

  @Override
  public List<DemoEngine> decode() {
    return decode.stream().map(engine -> described(engine, setup.decode())).toList();
  }

  private static DemoEngine described(Child engine, GeometrySpec geometry) {
    MatchResult said = engine.ready();
    return new DemoEngine(
        URI.create(said.group("uri")),
        new HostPort(LOOPBACK, Integer.parseInt(said.group("side"))),
        geometry);
  }

  @Override
  public Optional<AgentAddress> agent() {
    return agents.stream()
        .findFirst()
        .map(agent ->
            new AgentAddress(
                URI.create("http://%s:%s".formatted(LOOPBACK, agent.ready().group("port"))),
                token()));
  }

  /** The processes: prefill engines, decode engines, the agent. */
  List<Child> children() {
    List<Child> all = new ArrayList<>(prefill);
    all.addAll(decode);
    all.addAll(agents);
    return all;
  }

  @Override
  public void close() {
    children().parallelStream().forEach(Child::close);
    for (String file : List.of("agent.yaml", "agent.token", SECRET, "")) {
      try {
        Files.deleteIfExists(folder.resolve(file));
      } catch (IOException e) {
        // Of no use to anybody; a temporary folder is cleared by the system.
      }
    }
  }
}
