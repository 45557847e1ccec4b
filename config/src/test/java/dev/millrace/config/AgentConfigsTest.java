package dev.millrace.config;

import static org.assertj.core.api.Assertions.as;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.InstanceOfAssertFactories.STRING;

import dev.millrace.layout.CacheGroup;
import dev.millrace.layout.ElementType;
import dev.millrace.layout.GeometryText;
import dev.millrace.layout.ModelShape;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class AgentConfigsTest {
  private static final Path FILE = Path.of("conf/agent.yaml");

  private static final String LEAST =
      """
      token-file: agent.token
      secret-file: transport.secret
      models:
        llama: {layers: 32, kv-heads: 8, head-size: 128, dtype: bf16}
      side-channels:
        - {address: "10.0.0.1:5600", model: llama, connector-version: 14}
      """;

  private static AgentConfig valid(String text) {
    return switch (AgentConfigs.parse(FILE, text)) {
      case LoadedAgent.Valid(AgentConfig config) -> config;
      case LoadedAgent.Invalid(List<Complaint> complaints) -> throw new AssertionError(complaints);
    };
  }

  private static List<String> complaints(String text) {
    return switch (AgentConfigs.parse(FILE, text)) {
      case LoadedAgent.Valid(AgentConfig config) -> throw new AssertionError(config);
      case LoadedAgent.Invalid(List<Complaint> complaints) ->
          complaints.stream().map(Complaint::toString).toList();
    };
  }

  @Test
  void parse_whatIsLeftOut_hasTheDefaults() {
    AgentConfig config = valid(LEAST);

    assertThat(config.host()).isEqualTo("127.0.0.1");
    assertThat(config.port()).isEqualTo(7400);
    assertThat(config.tokenFile()).isEqualTo(Path.of("conf/agent.token"));
    assertThat(config.secretFile()).contains(Path.of("conf/transport.secret"));
    assertThat(config.transport()).isEqualTo(AgentConfig.Transport.TCP);
    assertThat(config.budgetBytes()).isEqualTo(4L << 30);
    assertThat(config.hold()).isEqualTo(Duration.ofSeconds(60));
    assertThat(config.sideChannels())
        .containsExactly(
            new AgentConfig.SideChannel(
                new HostPort("10.0.0.1", 5600), "llama", 14, Optional.empty()));
    assertThat(config.shape(config.sideChannels().getFirst()))
        .isEqualTo(ModelShape.dense(32, 8, 128, ElementType.BFLOAT16));
  }

  @Test
  void parse_everything_isTaken() {
    AgentConfig config =
        valid(
            """
            listen: {host: 10.0.0.9, port: 7401}
            token-file: /etc/millrace/agent.token
            transport: nixl
            memory: {budget: 2GiB, slab: 64MiB}
            hold: 90s
            deadlines: {read: 20s, handshake: 2s}
            reads-at-once: 8
            models:
              deepseek: {layers: 61, latent: 576, dtype: bf16}
              gemma: {layers: 26, kv-heads: 4, head-size: 256, dtype: bf16, window: 1024}
            side-channels:
              - {address: "10.0.0.1:5600", model: deepseek, connector-version: 14, nixl-version: 1.5.1}
              - {address: "[fd00::4]:5600", model: gemma, connector-version: 14}
            """);

    assertThat(config.transport()).isEqualTo(AgentConfig.Transport.NIXL);
    assertThat(config.secretFile()).isEmpty();
    assertThat(config.budgetBytes()).isEqualTo(2L << 30);
    assertThat(config.slabBytes()).isEqualTo(64L << 20);
    assertThat(config.hold()).isEqualTo(Duration.ofSeconds(90));
    assertThat(config.longestRead()).isEqualTo(Duration.ofSeconds(20));
    assertThat(config.handshake()).isEqualTo(Duration.ofSeconds(2));
    assertThat(config.readsAtOnce()).isEqualTo(8);
    assertThat(config.sideChannels().getFirst().nixlVersion()).contains("1.5.1");
    assertThat(config.models().get("deepseek"))
        .isEqualTo(ModelShape.mla(61, 576, ElementType.BFLOAT16));
    assertThat(config.shape(config.sideChannels().getLast()).groups().getFirst())
        .isInstanceOf(CacheGroup.SlidingWindow.class);
  }

  @Test
  void parse_statesBesideAttention_areThoseOfTheText() {
    AgentConfig config =
        valid(
            """
            token-file: agent.token
            secret-file: transport.secret
            models:
              hybrid: {layers: 2, kv-heads: 4, head-size: 16, dtype: bf16, state: mamba2:8:4:4:8, state-layers: 4, state-dtype: fp32, conv: 2}
            side-channels: [{address: "10.0.0.1:5600", model: hybrid, connector-version: 14}]
            """);

    assertThat(config.models().get("hybrid"))
        .isEqualTo(
            GeometryText.parse(
                    "layers=2,heads=4,head-size=16,dtype=bf16,state=mamba2:8:4:4:8,state-layers=4,state-dtype=fp32,conv=2")
                .model());
  }

  @Test
  void parse_aStateThatCannotBe_isNamed() {
    assertThat(
            complaints(
                """
                token-file: agent.token
                secret-file: transport.secret
                models:
                  odd: {layers: 2, kv-heads: 4, head-size: 16, dtype: bf16, state: rwkv:8}
                  none: {layers: 2, kv-heads: 4, head-size: 16, dtype: bf16, conv: 3}
                side-channels: [{address: "10.0.0.1:5600", model: odd, connector-version: 14}]
                """))
        .satisfiesExactly(
            odd -> assertThat(odd).contains("\"rwkv:8\" is not a state; known: mamba1"),
            none -> assertThat(none).contains("\"conv\" has no meaning without state"));
  }

  @Test
  void parse_manyMistakes_namesThemAll() {
    assertThat(
            complaints(
                """
                listen: {prot: 7400}
                transport: tpc
                memory: {budget: 1GiB, slab: 2GiB}
                models:
                  llama: {layers: 32, kv-heads: 8, dtype: bf17, head-size: 128}
                  qwen: {layers: 0, kv-heads: 8, head-size: 128, dtype: bf16}
                side-channels:
                  - {address: "10.0.0.1", model: llama, connector-version: 14}
                  - {address: "10.0.0.2:5600", model: lama, connector-version: 14}
                """))
        .satisfiesExactly(
            line -> assertThat(line).contains("\"token-file\" is missing"),
            line -> assertThat(line).contains("\"secret-file\" is missing"),
            line -> assertThat(line).startsWith("conf/agent.yaml:1:10: listen.prot: "),
            line -> assertThat(line).contains(":2:12: transport: \"tpc\" is not tcp or nixl"),
            line -> assertThat(line).contains(":3:30: memory.slab: is 2147483648 bytes, more than"),
            line -> assertThat(line).contains(":5:10: models.llama: ").contains("bf17"),
            line -> assertThat(line).contains(":6:9: models.qwen: ").contains("layers=0"),
            line -> assertThat(line).contains("\"10.0.0.1\" is not host:port"),
            line ->
                assertThat(line)
                    .contains("side-channels[1].model: there is no model \"lama\"")
                    .contains("llama"));
  }

  @Test
  void parse_aSideChannelTwice_isRefused() {
    assertThat(
            complaints(
                LEAST + "  - {address: \"10.0.0.1:5600\", model: llama, connector-version: 14}\n"))
        .singleElement()
        .asString()
        .contains("10.0.0.1:5600 is listed already");
  }

  @Test
  void read_noFile_saysSo() {
    assertThat(AgentConfigs.read(Path.of("no/such.yaml")))
        .isInstanceOfSatisfying(
            LoadedAgent.Invalid.class,
            invalid ->
                assertThat(invalid.complaints().getFirst().toString())
                    .startsWith("no/such.yaml:1:1: there is no such file"));
  }

  @Test
  void parse_withoutASideChannel_servesNobody() {
    assertThat(valid(LEAST).serving()).isEmpty();
  }

  @Test
  void parse_aSideChannel_servesThoseThatAreListed() {
    AgentConfig config =
        valid(
            LEAST
                + """
                memory: {budget: 1GiB, serving: 512MiB}
                side-channel:
                  listen: {host: 0.0.0.0, ports: 7500-7509}
                  advertise: 10.0.0.9
                  readers: [10.0.0.0/8, "::1"]
                """);

    assertThat(config.serving())
        .contains(
            new AgentConfig.Serving(
                "0.0.0.0",
                "10.0.0.9",
                7500,
                7509,
                List.of(AddressRange.parse("10.0.0.0/8"), AddressRange.parse("::1")),
                512L << 20));
  }

  @Test
  void parse_aSideChannelWithMistakes_namesThem() {
    assertThat(
            complaints(
                LEAST
                    + """
                    memory: {budget: 1GiB, serving: 2GiB}
                    side-channel:
                      listen: {host: 0.0.0.0, ports: 7509-7500}
                      readers: [engine-1]
                    """))
        .satisfiesExactlyInAnyOrder(
            each -> assertThat(each).contains("memory.serving").contains("budget"),
            each -> assertThat(each).contains("side-channel.advertise"),
            each -> assertThat(each).contains("7410-7473"),
            each -> assertThat(each).contains("engine-1").contains("10.0.0.0/8"));
  }

  @Test
  void parse_aSideChannelForNobody_isRefused() {
    assertThat(complaints(LEAST + "side-channel: {listen: {ports: 0}}\n"))
        .singleElement(as(STRING))
        .contains("readers");
  }
}
