package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.transfer.sidechannel.AgentMetadata;
import dev.millrace.transfer.sidechannel.ConnectorVersion;
import dev.millrace.transfer.sidechannel.Handshake;
import dev.millrace.transfer.sidechannel.HandshakeCodec;
import dev.millrace.transfer.sidechannel.RankId;
import dev.millrace.transfer.sidechannel.SideChannelClient;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Flags of {@code simulate} that decide over pairing, as the handshake shows them. */
class VllmOptionsTest {
  private static final String CROSS_LAYER =
      """
      {"kv_connector": "NixlConnector", "kv_role": "kv_both",
       "kv_connector_extra_config": {"enable_cross_layers_blocks": true}}
      """;

  /** The prefill side of github.com/ai-dynamo/dynamo/issues/10027. */
  private static final String WITH_DYNAMO =
      """
      {"kv_connector": "PdConnector", "kv_role": "kv_both",
       "kv_connector_module_path": "kvbm.vllm_integration.connector",
       "kv_connector_extra_config": {"connectors": [
         {"kv_connector": "DynamoConnector", "kv_role": "kv_both",
          "kv_connector_module_path": "kvbm.vllm_integration.connector"},
         %s]}}
      """
          .formatted(CROSS_LAYER);

  private record Shaken(String hash, AgentMetadata metadata) {}

  /** What an engine with these flags says. */
  private static Shaken handshake(ConnectorVersion version, String... flags) throws Exception {
    List<String> arguments =
        new ArrayList<>(
            List.of("simulate", "--role=both", "--port=0", "--pairing=vllm", "--layers=3"));
    arguments.add("--connector-version=" + version.number());
    arguments.addAll(Arrays.asList(flags));
    try (BackgroundCommand engine = BackgroundCommand.start(arguments.toArray(String[]::new));
        SideChannelClient client = new SideChannelClient()) {
      String line = engine.awaitOutput("side channel ");
      int port = Integer.parseInt(line.replaceAll("(?s).*side channel [^ :]+:(\\d+).*", "$1"));
      Handshake answer =
          client.ask("127.0.0.1", port, new RankId(0, 0), version, Duration.ofSeconds(10)).join();
      return new Shaken(
          answer.compatibilityHash(), HandshakeCodec.decodeMetadata(answer.metadata(), version));
    }
  }

  @Test
  void seedsPair_oneChildKeepsLayersApart_andTheHashesDiffer() throws Exception {
    Shaken prefill = handshake(ConnectorVersion.V2, "--kv-transfer-config", WITH_DYNAMO);
    Shaken decode = handshake(ConnectorVersion.V2, "--kv-transfer-config", CROSS_LAYER);

    assertThat(prefill.metadata().blockLens()).hasSize(6);
    assertThat(decode.metadata().blockLens()).hasSize(1);
    assertThat(prefill.hash()).isNotEqualTo(decode.hash());
  }

  /** The layout is no factor any more, and strides are told. */
  @Test
  void seedsPair_sinceVersion9_hasOneHash() throws Exception {
    Shaken prefill = handshake(ConnectorVersion.V14, "--kv-transfer-config", WITH_DYNAMO);
    Shaken decode = handshake(ConnectorVersion.V14, "--kv-transfer-config", CROSS_LAYER);

    assertThat(prefill.metadata().kvCacheLayout()).isEqualTo("LBHNC");
    assertThat(decode.metadata().kvCacheLayout()).isEqualTo("BHLNC");
    assertThat(prefill.hash()).isEqualTo(decode.hash());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "--model-path=/models/tiny",
        "--attention-backend=FLASHINFER",
        "--cache-dtype=bfloat16",
        "--cache-dtype=fp8",
        "--speculative=eagle3:org/draft",
        "--transfer-mode=push",
        "--dtype=fp16"
      })
  void flag_thatIsHashed_changesTheHash(String flag) throws Exception {
    assertThat(handshake(ConnectorVersion.V14, flag).hash())
        .isNotEqualTo(handshake(ConnectorVersion.V14).hash());
  }

  @Test
  void cacheDtype_ofOneByte_halvesTheBlocks() throws Exception {
    long whole = handshake(ConnectorVersion.V14).metadata().blockLens().getFirst();

    assertThat(
            handshake(ConnectorVersion.V14, "--cache-dtype=fp8").metadata().blockLens().getFirst())
        .isEqualTo(whole / 2);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          --connector-version  | 8                           | must be one of 2, 3, 4, 5, 6, 7, 9, 11, 13, 14
          --cache-dtype        | fp7                         | "fp7" is not known
          --speculative        | eagle3                      | must be METHOD:MODEL
          --kv-transfer-config | {                           | is not a JSON object
          --kv-transfer-config | {"kv_connector": "Other"}   | has no NIXL connector, but Other
          --kv-transfer-config | {"kv_role": "kv_both"}      | kv_connector is missing
          """)
  void badValue_isAUsageError(String flag, String value, String complaint) {
    CommandLineRun run =
        CommandLineRun.of("simulate", "--role", "both", "--port", "0", flag, value);

    assertThat(run.assertFailed(ExitCode.USAGE).err()).contains(complaint);
  }
}
