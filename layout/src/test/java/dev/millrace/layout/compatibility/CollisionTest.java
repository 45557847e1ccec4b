package dev.millrace.layout.compatibility;

import static dev.millrace.layout.compatibility.TestEngines.WHERE;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class CollisionTest {
  private static EngineProfile engine(String name, String id, String host, int port) {
    return EngineProfile.named(name)
        .declare(Fact.HTTP_HOST, name, WHERE)
        .probe(Fact.ENGINE_ID, id, "handshake")
        .probe(Fact.SIDE_CHANNEL_HOST, host, "remote_host")
        .probe(Fact.SIDE_CHANNEL_PORT, port, "remote_port")
        .build();
  }

  @Test
  void among_distinctEngines_isNone() {
    assertThat(
            Collision.among(
                List.of(
                    engine("a", "1", "10.0.0.1", 5600),
                    engine("b", "2", "10.0.0.1", 5601),
                    engine("c", "3", "10.0.0.2", 5600),
                    EngineProfile.named("d").build(),
                    EngineProfile.named("e").build())))
        .isEmpty();
  }

  @Test
  void among_enginesOfOneId_namesThemAll() {
    assertThat(
            Collision.among(
                List.of(
                    engine("a", "1", "10.0.0.1", 5600),
                    engine("b", "1", "10.0.0.2", 5600),
                    engine("c", "1", "10.0.0.3", 5600))))
        .containsExactly(
            new Collision(
                "engine id",
                "1",
                List.of("a", "b", "c"),
                "leave engine_id out of --kv-transfer-config, or give each engine one of its own"));
  }

  @Test
  void among_overlappingDataParallelRanks_namesTheSideChannel() {
    List<Collision> collisions =
        Collision.among(
            List.of(
                engine("a rank 0", "1_dp0", "10.0.0.1", 5600),
                engine("a rank 1", "1_dp1", "10.0.0.1", 5601),
                engine("b rank 0", "2_dp0", "10.0.0.1", 5601)));

    assertThat(collisions).hasSize(1);
    assertThat(collisions.getFirst().what()).isEqualTo("side channel");
    assertThat(collisions.getFirst().value()).isEqualTo("10.0.0.1:5601");
    assertThat(collisions.getFirst().engines()).containsExactly("a rank 1", "b rank 0");
    assertThat(collisions.getFirst().remedy()).contains("VLLM_NIXL_SIDE_CHANNEL_PORT");
  }

  @Test
  void among_loopbackAddresses_areOfTheirMachines() {
    assertThat(
            Collision.among(
                List.of(engine("a", "1", "localhost", 5600), engine("b", "2", "localhost", 5600))))
        .isEmpty();
    EngineProfile one = unnamedHost("a");
    EngineProfile other = unnamedHost("b");
    assertThat(Collision.among(List.of(one, other)))
        .extracting(Collision::value)
        .containsExactly("localhost:5600");
  }

  private static EngineProfile unnamedHost(String name) {
    return EngineProfile.named(name)
        .probe(Fact.SIDE_CHANNEL_HOST, "localhost", "remote_host")
        .probe(Fact.SIDE_CHANNEL_PORT, 5600, "remote_port")
        .build();
  }
}
