package dev.millrace.router.probe;

import dev.millrace.router.handoff.Pinned;
import dev.millrace.transfer.sidechannel.AgentMetadata;
import io.vertx.core.json.JsonObject;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * What was learnt of an engine at one time. Whatever it did not say is empty, with the reason in
 * {@link #gaps}.
 *
 * @param version of vLLM, from {@code /version}
 * @param models it serves, from {@code /v1/models}
 * @param cache from {@code vllm:cache_config_info} of {@code /metrics}
 * @param startSeconds when its process began, in seconds of the epoch, from {@code
 *     process_start_time_seconds}
 * @param told by the parameters that a prompt of one token came with
 * @param handshake from its side channel
 * @param gaps what could not be learnt, and why
 */
public record Sighting(
    Optional<String> version,
    List<ServedModel> models,
    Optional<CacheConfig> cache,
    Optional<Double> startSeconds,
    Optional<Told> told,
    Optional<Rank> handshake,
    List<String> gaps) {

  public Sighting {
    models = List.copyOf(models);
    gaps = List.copyOf(gaps);
  }

  /**
   * A model that an engine serves.
   *
   * @param id the name that requests use
   * @param root what it was started with, by its own words
   * @param parent of an adapter, the model that it adapts
   * @param maxModelTokens longest sequence; empty if not said
   * @param card all that it says of it, but for what differs from one answer to the next
   */
  public record ServedModel(
      String id,
      Optional<String> root,
      Optional<String> parent,
      Optional<Integer> maxModelTokens,
      JsonObject card) {}

  /**
   * An engine's {@code CacheConfig}.
   *
   * @param blockSize tokens per block, as requests see it
   * @param cacheDtype {@code auto} or a type
   * @param prefixCaching whether prefixes are kept for later prompts
   * @param blocks number of blocks; empty if not said
   */
  public record CacheConfig(
      Optional<Integer> blockSize,
      Optional<String> cacheDtype,
      Optional<Boolean> prefixCaching,
      Optional<Integer> blocks) {}

  /**
   * What {@code kv_transfer_params} of an engine's answer say of the engine.
   *
   * @param engineId {@code remote_engine_id}
   * @param host {@code remote_host} of its side channel
   * @param port {@code remote_port} of its side channel
   * @param tensorParallel {@code tp_size}
   * @param pipelineParallel {@code pp_size}
   */
  public record Told(
      String engineId, String host, int port, int tensorParallel, int pipelineParallel) {
    static Told of(Pinned pinned) {
      return new Told(
          pinned.engineId(),
          pinned.host(),
          pinned.port(),
          pinned.tensorParallel(),
          pinned.pipelineParallel());
    }
  }

  /**
   * What rank (0, 0) said on the side channel.
   *
   * @param compatibilityHash 64 hexadecimal digits
   * @param metadata the rest
   */
  public record Rank(String compatibilityHash, AgentMetadata metadata) {}

  /** Whether another engine has the same hash, ranks and blocks; false if that is not known. */
  public boolean isOfTheSameKind(Sighting other) {
    return kind().isPresent() && kind().equals(other.kind());
  }

  private record Kind(String compatibilityHash, int tensorParallel, Optional<Integer> blockSize) {}

  private Optional<Kind> kind() {
    return handshake.flatMap(rank ->
        told.map(said ->
            new Kind(
                rank.compatibilityHash(),
                said.tensorParallel(),
                cache.flatMap(CacheConfig::blockSize))));
  }

  /** How many tokens its KV cache has room for. */
  public Optional<Long> cacheTokens() {
    return cache.flatMap(known ->
        known.blockSize().flatMap(size -> known.blocks().map(blocks -> (long) size * blocks)));
  }

  /** The ids under which the engine answered; data-parallel ranks have one each. */
  public List<String> engineIds() {
    return Stream.concat(
            handshake.map(rank -> rank.metadata().engineId()).stream(),
            told.map(Told::engineId).stream())
        .distinct()
        .toList();
  }

  /**
   * This, and where the engine gave no answer what it said before, if it still is the same process.
   */
  public Sighting or(Sighting before) {
    if (startSeconds.isEmpty() || !startSeconds.equals(before.startSeconds)) {
      return this;
    }
    return new Sighting(
        version.or(before::version),
        models.isEmpty() ? before.models : models,
        cache.or(before::cache),
        startSeconds,
        told.or(before::told),
        handshake.or(before::handshake),
        gaps);
  }

  /** Whether it says the same of the engine; what was not answered this time does not matter. */
  public boolean saysTheSame(Sighting other) {
    return withoutGaps().equals(other.withoutGaps());
  }

  private Sighting withoutGaps() {
    return new Sighting(version, models, cache, startSeconds, told, handshake, List.of());
  }

  /** It in one line. */
  public String words() {
    return "vLLM %s, engine %s, tp %s, block %s%s"
        .formatted(
            version.orElse("unknown"),
            engineIds().isEmpty() ? "unknown" : engineIds().getFirst(),
            told.map(one -> String.valueOf(one.tensorParallel())).orElse("unknown"),
            cache.flatMap(CacheConfig::blockSize).map(String::valueOf).orElse("unknown"),
            gaps.isEmpty() ? "" : " (" + String.join("; ", gaps) + ")");
  }
}
