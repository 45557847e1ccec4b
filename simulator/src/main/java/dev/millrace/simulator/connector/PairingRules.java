package dev.millrace.simulator.connector;

import dev.millrace.layout.CompatibilityHash;
import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.Pairing;
import dev.millrace.simulator.VllmRelease;
import dev.millrace.transfer.sidechannel.AgentMetadata;
import dev.millrace.transfer.sidechannel.ConnectorVersion;
import dev.millrace.transfer.sidechannel.Handshake;
import dev.millrace.transfer.sidechannel.HandshakeCodec;
import dev.millrace.transfer.sidechannel.MalformedHandshake;
import java.util.List;
import java.util.Optional;

/**
 * Whether blocks may be loaded from a prefill engine, by what it says in the handshake.
 *
 * <p>Under vLLM's {@link Pairing} its hash must be ours, and then {@link VllmRules} hold. Under
 * {@link Pairing#ANY} a plan decides; only the hash is looked at, with the factors that a plan
 * overcomes tried out: the release, the attention backend, whether blocks hold all layers, and
 * whether the engine calls itself simulated.
 */
final class PairingRules {
  private static final boolean[] EITHER = {false, true};

  private final EngineConfig config;
  private final CompatibilityHash own;
  private final VllmRules vllm;

  /** What a rank said, and in the words of which release. */
  record Said(VllmRelease release, AgentMetadata metadata) {}

  PairingRules(EngineConfig config) {
    this.config = config;
    this.own = config.hash();
    this.vllm = new VllmRules(config);
  }

  /** This engine's hash. */
  String ownHash() {
    return own.hex();
  }

  /**
   * Reads what a rank says.
   *
   * @throws RefusedEngine if its hash is not one of those that may be
   * @throws MalformedHandshake if it cannot be read
   */
  Said read(Handshake handshake) {
    return switch (config.pairing()) {
      case VLLM -> {
        if (!handshake.compatibilityHash().equals(own.hex())) {
          throw new RefusedEngine(
              "NIXL compatibility hash mismatch. Local: %s, Remote: %s."
                  .formatted(own.hex(), handshake.compatibilityHash()));
        }
        yield inOwnWords(handshake);
      }
      case VLLM_UNHASHED -> inOwnWords(handshake);
      case ANY ->
          recognise(handshake)
              .orElseThrow(() ->
                  new RefusedEngine(
                      "compatibility hash %s is not that of model %s with %s: the engines differ in more than a plan overcomes"
                          .formatted(
                              handshake.compatibilityHash(),
                              config.flags().modelPath(),
                              config.flags().dtype())));
    };
  }

  private Said inOwnWords(Handshake handshake) {
    return new Said(
        config.release(),
        HandshakeCodec.decodeMetadata(handshake.metadata(), config.release().connector()));
  }

  /** The release whose hash of our model the handshake has. */
  private Optional<Said> recognise(Handshake handshake) {
    for (ConnectorVersion version : ConnectorVersion.values()) {
      AgentMetadata metadata;
      try {
        metadata = HandshakeCodec.decodeMetadata(handshake.metadata(), version);
      } catch (MalformedHandshake otherSchema) {
        continue;
      }
      VllmRelease release = new VllmRelease(version);
      for (boolean crossLayer : EITHER) {
        for (boolean hybridCaches : EITHER) {
          for (String suffix : List.of("+millrace-sim", "")) {
            CompatibilityHash hash =
                new CompatibilityHash(
                    release.version() + suffix,
                    version.number(),
                    own.model(),
                    own.dtype(),
                    own.kvHeads(),
                    own.headSize(),
                    own.hiddenLayers(),
                    metadata.attnBackendName(),
                    own.cacheDtype(),
                    crossLayer,
                    hybridCaches,
                    own.speculation(),
                    own.transferMode());
            if (hash.hex().equals(handshake.compatibilityHash())) {
              return Optional.of(new Said(release, metadata));
            }
          }
        }
      }
    }
    return Optional.empty();
  }

  /**
   * Why an engine is refused that was read.
   *
   * @param ownRank what a rank of ours says
   * @param ranks what each of its ranks said
   */
  Optional<String> refuse(AgentMetadata ownRank, List<AgentMetadata> ranks) {
    return config.pairing().isVllm() ? vllm.refuse(ownRank, ranks) : Optional.empty();
  }
}
