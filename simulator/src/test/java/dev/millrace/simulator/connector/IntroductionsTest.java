package dev.millrace.simulator.connector;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.TransferPlanner;
import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.cache.KvMemory;
import dev.millrace.simulator.core.TransferParams.RemotePrefill;
import dev.millrace.transfer.Peer;
import dev.millrace.transfer.sidechannel.AgentMetadata;
import dev.millrace.transfer.sidechannel.Blob;
import dev.millrace.transfer.sidechannel.EngineGeometry;
import dev.millrace.transfer.sidechannel.RankId;
import dev.millrace.transfer.tcp.TcpTransport;
import io.vertx.core.Context;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class IntroductionsTest {
  private final Vertx vertx = Vertx.vertx();
  private final Context context = vertx.getOrCreateContext();
  private final EngineConfig config = EngineConfig.builder().build();
  private final KvMemory memory = new KvMemory(config.geometry());
  private final RankTransports own = transports("decode");
  private final List<String> asked = new ArrayList<>();
  private final List<RemoteEngine> replaced = new ArrayList<>();

  private RankTransports transports(String name) {
    return new RankTransports(config, name, memory, rank -> (peer, payload) -> {});
  }

  @AfterEach
  void closeAll() throws Exception {
    assertThat(own.close()).isTrue();
    assertThat(memory.free()).isPositive();
    vertx.close().toCompletionStage().toCompletableFuture().get(20, TimeUnit.SECONDS);
  }

  private static RemotePrefill at(String engineId, int port) {
    return new RemotePrefill(engineId, "request", "p", port, 1, List.of(List.of(1)), 1, 0);
  }

  private RemoteEngine engine(String id, List<byte[]> descriptions) {
    TransferPlanner planner = new TransferPlanner(memory.geometry(), memory.geometry());
    List<AgentMetadata> ranks =
        descriptions.stream()
            .map(description ->
                EngineGeometry.describe(
                    config.geometry(),
                    new RankId(0, 0),
                    memory.addresses(),
                    id,
                    config.flags().attentionBackend(),
                    Blob.of(description)))
            .toList();
    return new RemoteEngine(id, config.release(), planner, ranks, own, context);
  }

  private Introductions introductions() {
    return new Introductions(
        remote -> {
          asked.add(remote.engineId());
          return remote.engineId().equals("nobody")
              ? Future.failedFuture("nobody is there")
              : Future.succeededFuture(engine(remote.engineId(), List.of()));
        },
        replaced::add);
  }

  @Test
  void meet_twice_asksOnce() {
    Introductions introductions = introductions();
    RemoteEngine first = introductions.meet(at("a", 1)).result();
    assertThat(introductions.meet(at("a", 1)).result()).isSameAs(first);
    assertThat(introductions.meet(at("b", 2)).result()).isNotSameAs(first);
    assertThat(asked).containsExactly("a", "b");
    assertThat(replaced).isEmpty();
  }

  @Test
  void meet_afterAFailure_asksAgain() {
    Introductions introductions = introductions();
    assertThat(introductions.meet(at("nobody", 1)).failed()).isTrue();
    assertThat(introductions.meet(at("nobody", 1)).failed()).isTrue();
    assertThat(asked).containsExactly("nobody", "nobody");
  }

  @Test
  void meet_anotherAtTheSameAddress_forgetsTheFirst() {
    Introductions introductions = introductions();
    RemoteEngine first = introductions.meet(at("a", 1)).result();
    introductions.meet(at("b", 1)).result();
    assertThat(replaced).containsExactly(first);
    assertThat(introductions.meet(at("a", 1)).result()).isNotSameAs(first);
  }

  @Test
  void leave_closesTheConnections() throws Exception {
    RankTransports theirs = transports("prefill");
    try {
      RemoteEngine remote = engine("a", List.of(theirs.of(0).describe()));
      Peer peer =
          remote.peer(0, 0).toCompletionStage().toCompletableFuture().get(20, TimeUnit.SECONDS);
      TcpTransport transport = (TcpTransport) own.of(0).blocks();
      assertThat(transport.stats().peers()).isEqualTo(1);
      remote.leave();
      while (transport.stats().peers() > 0) {
        Thread.sleep(2);
      }
      assertThat(peer.name()).isEqualTo("prefill-0");
    } finally {
      assertThat(theirs.close()).isTrue();
    }
  }
}
