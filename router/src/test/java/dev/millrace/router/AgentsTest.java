package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.AgentAddress;
import dev.millrace.router.agents.Agents;
import dev.millrace.router.handoff.Outcome;
import dev.millrace.router.handoff.Pinned;
import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.EngineRole;
import dev.millrace.simulator.SimulatedEngine;
import io.vertx.core.buffer.Buffer;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** When pairs may be judged that need an agent, and what agents are good for. */
final class AgentsTest {
  @RegisterExtension final Stage stage = new Stage();
  @TempDir Path folder;

  private Agents known(AgentAddress address) throws Exception {
    return Agents.watch(stage.vertx(), List.of(address))
        .compose(agents -> agents.known().map(agents))
        .await(10, TimeUnit.SECONDS);
  }

  @Test
  void known_anAgentThatAnswers_reachesWhatItLists() throws Exception {
    SimulatedEngine engine =
        stage.simulated(EngineConfig.builder().role(EngineRole.PREFILL).model(Stage.MODEL).build());
    TestAgent agent = stage.closing(TestAgent.reaching(stage.vertx(), folder, engine));

    assertThat(known(agent.address()).reaching("127.0.0.1", engine.sideChannelPort())).isPresent();
  }

  @Test
  void watch_withoutTheTokensFile_saysWhereItIsWanted() {
    Path missing = folder.resolve("agent.token");
    AgentAddress address = new AgentAddress(URI.create("http://127.0.0.1:1"), missing);

    assertThat(
            Agents.watch(stage.vertx(), List.of(address)).toCompletionStage().toCompletableFuture())
        .failsWithin(10, TimeUnit.SECONDS)
        .withThrowableOfType(ExecutionException.class)
        .withMessageContaining("http://127.0.0.1:1")
        .withMessageContaining(missing.toString())
        .withMessageContaining("readable by this user");
  }

  @Test
  void known_anAgentThatIsSilent_isNotWaitedForLong() throws Exception {
    Path token = Files.writeString(folder.resolve("agent.token"), "0123456789abcdef");
    try (ServerSocket silent = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      URI url = URI.create("http://127.0.0.1:" + silent.getLocalPort());

      Agents agents = known(new AgentAddress(url, token));

      assertThat(agents.all().getFirst().trouble()).isNotNull();
    }
  }

  private static Pinned blocks(String engineId, int sideChannelPort) {
    return new Pinned(
        Buffer.buffer("{}"), engineId, "r", "127.0.0.1", sideChannelPort, 1, 1, 20, 2, null);
  }

  @Test
  void release_ofAnEngineThatIsGone_failsAndTheAgentStillCounts() throws Exception {
    SimulatedEngine engine =
        stage.simulated(EngineConfig.builder().role(EngineRole.PREFILL).model(Stage.MODEL).build());
    TestAgent agent = stage.closing(TestAgent.reaching(stage.vertx(), folder, engine));
    Agents agents = known(agent.address());
    Pinned blocks = blocks(engine.engineId(), engine.sideChannelPort());
    engine.close().await(10, TimeUnit.SECONDS);

    assertThat(agents.release(blocks).toCompletionStage().toCompletableFuture())
        .failsWithin(10, TimeUnit.SECONDS)
        .withThrowableOfType(ExecutionException.class)
        .withMessageContaining("cannot be reached");
    assertThat(agents.reaching("127.0.0.1", blocks.port())).isPresent();
  }

  @Test
  void release_whereAnotherEngineIsByNow_theBlocksAreLost() throws Exception {
    SimulatedEngine engine =
        stage.simulated(EngineConfig.builder().role(EngineRole.PREFILL).model(Stage.MODEL).build());
    TestAgent agent = stage.closing(TestAgent.reaching(stage.vertx(), folder, engine));

    assertThat(
            known(agent.address())
                .release(blocks("the one before", engine.sideChannelPort()))
                .await(10, TimeUnit.SECONDS))
        .isEqualTo(new Outcome.Lost());
  }
}
