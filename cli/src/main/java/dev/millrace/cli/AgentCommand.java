package dev.millrace.cli;

import dev.millrace.config.AgentConfig;
import dev.millrace.transfer.SharedSecret;
import dev.millrace.transfer.agent.AgentOptions;
import dev.millrace.transfer.agent.AgentTransport;
import dev.millrace.transfer.agent.KvAgent;
import dev.millrace.transfer.agent.ServingOptions;
import dev.millrace.transfer.nixl.Nixl;
import dev.millrace.transfer.nixl.NixlAgentTransport;
import dev.millrace.transfer.nixl.NixlSettings;
import dev.millrace.transfer.nixl.NixlTransport;
import dev.millrace.transfer.nixl.NixlTransportOptions;
import dev.millrace.transfer.nixl.NixlTransportOptions.EngineNotifications;
import dev.millrace.transfer.rpc.AgentServer;
import dev.millrace.transfer.rpc.AgentServerOptions;
import dev.millrace.transfer.rpc.Token;
import dev.millrace.transfer.sidechannel.ConnectorVersion;
import dev.millrace.transfer.tcp.TcpTransport;
import dev.millrace.transfer.tcp.TcpTransportOptions;
import io.vertx.core.Vertx;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code millrace agent}: the KV agent. */
@Command(
    name = "agent",
    description = "Runs a KV agent, which reads, keeps and releases prefill engines' blocks.")
final class AgentCommand implements Callable<Integer> {
  private static final String NAME = "millrace-agent";

  private final StopSignal stop;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Option(
      names = {"-c", "--config"},
      required = true,
      paramLabel = "FILE",
      description = "The agent's configuration.")
  private Path file = Path.of("");

  @Mixin private ParentOption parent = new ParentOption();

  AgentCommand(StopSignal stop) {
    this.stop = stop;
  }

  @Override
  public Integer call() throws IOException {
    AgentConfig config = ConfigCommand.readAgent(file);
    parent.watch(stop);
    AgentOptions options = options(config);
    Token token = token(config.tokenFile());
    AgentServerOptions listen =
        new AgentServerOptions(config.host(), config.port(), token, VersionText.number());
    Vertx vertx = Vertx.vertx();
    try (KvAgent agent =
        KvAgent.start(options, transport(config), InstantSource.system(), System::nanoTime)) {
      String what = "the agent (%s:%d)".formatted(config.host(), config.port());
      AgentServer server = Startup.started(what, AgentServer.start(vertx, agent, listen));
      PrintWriter out = spec.commandLine().getOut();
      out.println(
          "agent at %s:%d, transport %s, %d MiB for copies, %d side channels%s"
              .formatted(
                  config.host(),
                  server.port(),
                  agent.transport(),
                  config.budgetBytes() >> 20,
                  options.sideChannels().size(),
                  config.serving().map(AgentCommand::answering).orElse("")));
      out.flush();
      stop.await();
      Startup.closed(server.close());
      return ExitCode.DONE;
    } finally {
      Startup.closed(vertx.close());
    }
  }

  private AgentOptions options(AgentConfig config) {
    List<AgentOptions.SideChannel> channels = new ArrayList<>();
    for (AgentConfig.SideChannel channel : config.sideChannels()) {
      try {
        channels.add(
            new AgentOptions.SideChannel(
                channel.address().host(),
                channel.address().port(),
                channel.model(),
                config.shape(channel),
                ConnectorVersion.of(channel.connectorVersion()),
                channel.nixlVersion()));
      } catch (IllegalArgumentException e) {
        throw Failure.usage(
            "%s: side channel %s: %s".formatted(file, channel.address(), e.getMessage()));
      }
    }
    AgentOptions options =
        new AgentOptions(
            channels,
            config.budgetBytes(),
            config.slabBytes(),
            config.hold(),
            config.longestRead(),
            config.handshake(),
            config.readsAtOnce());
    return config.serving().map(each -> options.with(serving(each))).orElse(options);
  }

  private static String answering(AgentConfig.Serving serving) {
    return ", answers decode engines at %s:%d-%d"
        .formatted(serving.advertisedHost(), serving.firstPort(), serving.lastPort());
  }

  private static ServingOptions serving(AgentConfig.Serving serving) {
    return new ServingOptions(
        serving.host(),
        serving.advertisedHost(),
        serving.firstPort(),
        serving.lastPort(),
        address -> serving.readers().stream().anyMatch(range -> range.contains(address)),
        serving.engineBytes());
  }

  private static AgentTransport transport(AgentConfig config) {
    return switch (config.transport()) {
      case TCP -> tcp(config, secret(config.secretFile().orElseThrow()));
      case NIXL ->
          switch (Nixl.load(NixlSettings.DEFAULT)) {
            case Nixl.Present nixl -> nixl(nixl, config);
            case Nixl.Absent(String reason, String remedy) ->
                throw Failure.usage("transport nixl: %s\n%s".formatted(reason, remedy));
          };
    };
  }

  /** Nobody needs to connect to what only reads, so that stays on the loopback address. */
  private static AgentTransport tcp(AgentConfig config, SharedSecret secret) {
    TcpTransport reading = TcpTransport.start(TcpTransportOptions.loopback(NAME, secret));
    return config
        .serving()
        .map(serving -> AgentTransport.of(reading, () -> tcp(serving, secret)))
        .orElseGet(() -> AgentTransport.of(reading));
  }

  private static TcpTransport tcp(AgentConfig.Serving serving, SharedSecret secret) {
    return TcpTransport.start(
        TcpTransportOptions.on(NAME + "-serving", serving.advertisedHost(), 0, secret)
            .boundTo(serving.host()));
  }

  private static AgentTransport nixl(Nixl.Present nixl, AgentConfig config) {
    // Inference engines know no secret of ours.
    SharedSecret secret =
        config
            .secretFile()
            .map(AgentCommand::secret)
            .orElseGet(() -> SharedSecret.random(new SecureRandom()));
    return new NixlAgentTransport(
        NixlTransport.open(nixl, NixlTransportOptions.named(NAME, secret)),
        () ->
            NixlTransport.open(
                nixl,
                NixlTransportOptions.named(NAME + "-serving", secret)
                    .with(EngineNotifications.DELIVERED)));
  }

  private static SharedSecret secret(Path file) {
    try {
      return SharedSecret.of(bytes(file));
    } catch (IllegalArgumentException e) {
      throw Failure.usage("%s: %s".formatted(file, e.getMessage()));
    }
  }

  private static Token token(Path file) {
    try {
      return Token.of(new String(bytes(file), StandardCharsets.UTF_8));
    } catch (IllegalArgumentException e) {
      throw Failure.usage("%s: %s".formatted(file, e.getMessage()));
    }
  }

  /** What a file holds, without the line end that editors leave. */
  private static byte[] bytes(Path file) {
    try {
      return Files.readString(file).strip().getBytes(StandardCharsets.UTF_8);
    } catch (NoSuchFileException e) {
      throw Failure.usage("%s cannot be read: there is no such file".formatted(file));
    } catch (IOException e) {
      throw Failure.usage("%s cannot be read: %s".formatted(file, e.getMessage()));
    }
  }
}
