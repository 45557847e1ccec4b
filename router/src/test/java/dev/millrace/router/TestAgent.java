package dev.millrace.router;

import dev.millrace.config.AgentAddress;
import dev.millrace.simulator.EngineTransport;
import dev.millrace.simulator.SimulatedEngine;
import dev.millrace.transfer.SharedSecret;
import dev.millrace.transfer.agent.AgentOptions;
import dev.millrace.transfer.agent.AgentTransport;
import dev.millrace.transfer.agent.KvAgent;
import dev.millrace.transfer.rpc.AgentServer;
import dev.millrace.transfer.rpc.AgentServerOptions;
import dev.millrace.transfer.rpc.Token;
import dev.millrace.transfer.sidechannel.ConnectorVersion;
import dev.millrace.transfer.tcp.TcpTransport;
import dev.millrace.transfer.tcp.TcpTransportOptions;
import io.vertx.core.Vertx;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/** A KV agent that may ask some simulated engines. */
final class TestAgent implements AutoCloseable {
  private static final Duration LONG = Duration.ofSeconds(10);
  private static final String TOKEN = "0123456789abcdef";

  private final KvAgent agent;
  private final AgentServer server;
  private final AgentAddress address;

  private TestAgent(KvAgent agent, AgentServer server, AgentAddress address) {
    this.agent = agent;
    this.server = server;
    this.address = address;
  }

  static TestAgent reaching(Vertx vertx, Path folder, SimulatedEngine... engines) throws Exception {
    List<AgentOptions.SideChannel> channels =
        Arrays.stream(engines).map(TestAgent::channel).toList();
    SharedSecret secret = ((EngineTransport.Tcp) engines[0].config().transport()).secret();
    KvAgent agent =
        KvAgent.start(
            new AgentOptions(channels, 64 << 20, 8 << 20, Duration.ofSeconds(60), LONG, LONG, 32),
            AgentTransport.of(TcpTransport.start(TcpTransportOptions.loopback("agent", secret))),
            InstantSource.system(),
            System::nanoTime);
    AgentServer server =
        AgentServer.start(
                vertx, agent, new AgentServerOptions("127.0.0.1", 0, Token.of(TOKEN), "test"))
            .await(10, TimeUnit.SECONDS);
    Path token = Files.writeString(folder.resolve("agent-" + server.port() + ".token"), TOKEN);
    URI url = URI.create("http://127.0.0.1:" + server.port());
    return new TestAgent(agent, server, new AgentAddress(url, token));
  }

  private static AgentOptions.SideChannel channel(SimulatedEngine engine) {
    return new AgentOptions.SideChannel(
        "127.0.0.1",
        engine.sideChannelPort(),
        "tiny",
        engine.config().geometry().model(),
        ConnectorVersion.V14,
        Optional.empty());
  }

  AgentAddress address() {
    return address;
  }

  @Override
  public void close() throws Exception {
    server.close().await(10, TimeUnit.SECONDS);
    agent.close();
  }
}
