package dev.millrace.cli;

import dev.millrace.layout.CompatibilityHash.Speculation;
import dev.millrace.layout.ElementType;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.compatibility.ConnectorConfig;
import dev.millrace.layout.compatibility.EffectiveConnector;
import dev.millrace.layout.compatibility.EngineProfile;
import dev.millrace.layout.compatibility.Fact;
import dev.millrace.layout.compatibility.TransferMode;
import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.Pairing;
import dev.millrace.simulator.VllmRelease;
import dev.millrace.transfer.sidechannel.ConnectorVersion;
import io.vertx.core.json.DecodeException;
import io.vertx.core.json.JsonObject;
import java.util.Arrays;
import java.util.Optional;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/**
 * The flags of {@code simulate} that say which vLLM is played, and how it was launched: what
 * decides over its hash, its effective layout and whom it pairs with.
 */
final class VllmOptions {
  private static final String CONFIG = "--kv-transfer-config";

  @Option(
      names = "--connector-version",
      paramLabel = "N",
      description = "NIXL connector version of the vLLM that is played: 2 is v0.19, 14 is v0.32.")
  private int connectorVersion = 14;

  @Option(
      names = CONFIG,
      paramLabel = "JSON",
      description =
          "As vLLM takes it. What bears on pairing is obeyed: connectors, also several in one,"
              + " enable_cross_layers_blocks, enforce_handshake_compat, kv_lease_duration,"
              + " engine_id.")
  private @Nullable String kvTransferConfig;

  @Option(
      names = "--model-path",
      paramLabel = "TEXT",
      description = "The model as vLLM's command line has it, which is hashed; by default --model.")
  private @Nullable String modelPath;

  @Option(
      names = "--attention-backend",
      paramLabel = "NAME",
      description = "Such as FLASHINFER; by default FLASH_ATTN, or CPU_ATTN with --layout cpu.")
  private @Nullable String attentionBackend;

  @Option(
      names = "--cache-dtype",
      paramLabel = "NAME",
      description = "As vLLM's --kv-cache-dtype: auto, or fp8 and others, which is hashed.")
  private String cacheDtype = "auto";

  @Option(
      names = "--disable-hybrid-kv-cache-manager",
      negatable = true,
      description =
          "Whether the hybrid KV-cache manager is off; by default as in the vLLM that is played, which"
              + " turned it off beside a connector before 0.23.")
  private @Nullable Boolean hybridCachesOff;

  @Option(
      names = "--enable-prefix-caching",
      negatable = true,
      defaultValue = "true",
      fallbackValue = "true",
      description = "Whether prompts' blocks are kept for later prompts; they are by default.")
  private boolean prefixCaching;

  @Option(
      names = "--speculative",
      paramLabel = "METHOD:MODEL",
      description = "A draft model that is hashed, such as eagle3:org/draft.")
  private @Nullable String speculative;

  @Option(
      names = "--transfer-mode",
      description =
          "Who is said to move blocks: ${COMPLETION-CANDIDATES}; a simulated engine pulls all the"
              + " same.")
  private @Nullable TransferMode transferMode;

  VllmOptions() {}

  /**
   * The type of the cache's elements.
   *
   * @param model type of the model
   */
  ElementType element(ElementType model) {
    return EngineProfile.named("engine")
        .declare(Fact.DTYPE, model.vllmName(), "--dtype")
        .declare(Fact.CACHE_DTYPE, cacheDtype, "--cache-dtype")
        .build()
        .value(Fact.CACHE_ELEMENT)
        .orElseThrow(() ->
            new IllegalArgumentException(
                "--cache-dtype \"%s\" is not known; auto, fp8, fp8_e4m3, fp8_e5m2, bfloat16, float16 and float32 are"
                    .formatted(cacheDtype)));
  }

  /**
   * Configures an engine.
   *
   * @param geometry as the other flags have it
   * @param model type of the model
   * @throws IllegalArgumentException with the flag that makes no sense
   */
  void apply(
      EngineConfig.Builder engine, GeometrySpec geometry, ElementType model, Pairing pairing) {
    VllmRelease release = new VllmRelease(version());
    Optional<EffectiveConnector> connector = connector().map(EffectiveConnector::of);
    engine
        .release(release)
        .geometry(inEffect(geometry, release))
        .dtype(model.vllmName())
        .cacheDtype(cacheDtype)
        .prefixCaching(prefixCaching)
        .pairing(
            pairing == Pairing.VLLM && isUnhashed(connector) ? Pairing.VLLM_UNHASHED : pairing);
    if (modelPath != null) {
      engine.modelPath(modelPath);
    }
    if (attentionBackend != null) {
      engine.attentionBackend(attentionBackend);
    }
    if (hybridCachesOff != null) {
      engine.hybridCaches(!hybridCachesOff);
    }
    if (speculative != null) {
      engine.speculation(speculation(speculative));
    }
    connector.flatMap(EffectiveConnector::transferMode).ifPresent(engine::transferMode);
    if (transferMode != null) {
      engine.transferMode(transferMode);
    }
    if (release.hasHeartbeats()) {
      connector.map(EffectiveConnector::lease).ifPresent(engine::lease);
    }
  }

  private ConnectorVersion version() {
    try {
      return ConnectorVersion.of(connectorVersion);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          "--connector-version is %d, must be one of %s"
              .formatted(
                  connectorVersion,
                  Arrays.stream(ConnectorVersion.values())
                      .map(known -> Integer.toString(known.number()))
                      .collect(Collectors.joining(", "))),
          e);
    }
  }

  private Optional<ConnectorConfig> connector() {
    if (kvTransferConfig == null) {
      return Optional.empty();
    }
    try {
      ConnectorConfig config = ConnectorConfig.of(new JsonObject(kvTransferConfig).getMap());
      if (EffectiveConnector.of(config).nixl().isEmpty()) {
        throw new IllegalArgumentException(
            "%s has no NIXL connector, but %s".formatted(CONFIG, config));
      }
      return Optional.of(config);
    } catch (DecodeException e) {
      throw new IllegalArgumentException(
          "%s is not a JSON object: %s".formatted(CONFIG, e.getMessage()), e);
    }
  }

  /** Whether blocks hold all layers is for the connectors to say, if heads are outermost. */
  private GeometrySpec inEffect(GeometrySpec asked, VllmRelease release) {
    ModelShape shape = asked.model();
    Optional<ConnectorConfig> connector = connector();
    Layout layout =
        EngineProfile.named("engine")
            .declareGeometry(asked, "--layout")
            .declare(Fact.CONNECTOR_VERSION, release.connector().number(), "--connector-version")
            .declare(
                Fact.ATTENTION_BACKEND,
                Optional.ofNullable(attentionBackend),
                "--attention-backend")
            .declare(Fact.CACHE_DTYPE, cacheDtype, "--cache-dtype")
            .declare(Fact.CONNECTOR, connector, CONFIG)
            .build()
            .value(Fact.LAYOUT)
            .orElse(asked.layout());
    return new GeometrySpec(
        shape, asked.parallelism(), asked.blockSize(), layout, asked.blocks(), asked.blocksPerId());
  }

  private static boolean isUnhashed(Optional<EffectiveConnector> connector) {
    return connector.map(effective -> !effective.enforcesHash()).orElse(false);
  }

  private static Speculation speculation(String text) {
    int colon = text.indexOf(':');
    if (colon < 1 || colon == text.length() - 1) {
      throw new IllegalArgumentException(
          "--speculative is \"%s\", must be METHOD:MODEL".formatted(text));
    }
    return new Speculation(
        text.substring(0, colon), text.substring(colon + 1), null, null, false, "auto", null);
  }
}
