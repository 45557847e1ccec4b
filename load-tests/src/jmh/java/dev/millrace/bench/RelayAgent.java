package dev.millrace.bench;

import dev.millrace.layout.ModelShape;
import dev.millrace.transfer.agent.AgentOptions;
import dev.millrace.transfer.agent.KvAgent;
import dev.millrace.transfer.agent.ServingOptions;
import dev.millrace.transfer.rpc.AgentServer;
import dev.millrace.transfer.rpc.AgentServerOptions;
import dev.millrace.transfer.rpc.Token;
import dev.millrace.transfer.sidechannel.ConnectorVersion;
import io.vertx.core.Vertx;
import java.io.IOException;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/** The process of an agent that stands between two engines. */
final class RelayAgent {
  static final Token TOKEN = Token.of("benchmarks-only".repeat(2));

  /** Beside what is served: what is being permuted. */
  private static final long STAGING_BYTES = 64L << 20;

  private static final long SLAB_BYTES = 16L << 20;

  private RelayAgent() {}

  /** Its transport, the most tokens of a copy, the ports of both engines' side channels. */
  public static void main(String[] arguments) throws Exception {
    String kind = arguments[0];
    // One block is never handed out; half a MiB is what tensors are aligned with.
    long serving = (Integer.parseInt(arguments[1]) + 128) * Cache.TOKEN_BYTES + (1 << 19);
    List<AgentOptions.SideChannel> engines = new ArrayList<>();
    ModelShape model = Cache.spec("block=16,layout=hnd", 16).model();
    Optional<String> nixl = Transports.nixlVersion(kind);
    for (String port : List.of(arguments[2], arguments[3])) {
      engines.add(
          new AgentOptions.SideChannel(
              "127.0.0.1", Integer.parseInt(port), "llama", model, ConnectorVersion.V14, nixl));
    }
    Duration longest = Duration.ofMinutes(2);
    AgentOptions options =
        new AgentOptions(
                engines,
                serving + STAGING_BYTES,
                SLAB_BYTES,
                longest,
                longest,
                Duration.ofSeconds(10),
                4)
            .with(new ServingOptions("127.0.0.1", "127.0.0.1", 0, 0, anybody -> true, serving));
    Vertx vertx = Vertx.vertx();
    KvAgent agent =
        KvAgent.start(
            options, Transports.between(kind, "agent"), InstantSource.system(), System::nanoTime);
    AgentServer server =
        AgentServer.start(vertx, agent, new AgentServerOptions("127.0.0.1", 0, TOKEN, "benchmark"))
            .await(10, TimeUnit.SECONDS);
    serve(server);
    agent.close();
    System.exit(0);
  }

  private static void serve(AgentServer server) throws IOException {
    Helper.ready(Integer.toString(server.port()));
  }
}
