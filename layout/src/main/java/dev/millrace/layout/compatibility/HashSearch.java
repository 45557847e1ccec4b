package dev.millrace.layout.compatibility;

import dev.millrace.layout.CompatibilityHash;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Looks for the factors of a hash: first as they are known, then with one of them changed, then
 * two, then three, up to {@value #MOST_HASHES} tries. What an engine said itself is not doubted.
 */
final class HashSearch {
  private static final int MOST_HASHES = 20_000;
  private static final int MOST_CHANGES = 3;

  /** Values of a factor that are tried, the likeliest first. */
  private record Candidates(HashFactor factor, List<Object> values) {}

  private final List<Candidates> factors;
  private final String wanted;
  private int tries;

  private HashSearch(List<Candidates> factors, String wanted) {
    this.factors = factors;
    this.wanted = wanted;
  }

  /**
   * The factors of an engine's hash; empty if they are not found.
   *
   * @param hash what the engine sends
   * @param engine what is known of it
   * @param peer lends its values where they are not known of the engine, and as changes
   */
  static Optional<CompatibilityHash> find(String hash, EngineProfile engine, EngineProfile peer) {
    List<Candidates> factors = new ArrayList<>();
    for (HashFactor factor : HashFactor.values()) {
      List<Object> values = candidates(factor, engine, peer);
      if (!values.isEmpty()) {
        factors.add(new Candidates(factor, values));
      }
    }
    return new HashSearch(factors, hash).find();
  }

  private static List<Object> candidates(
      HashFactor factor, EngineProfile engine, EngineProfile peer) {
    Optional<? extends Known<?>> own = engine.known(factor.fact());
    Set<Object> values = new LinkedHashSet<>();
    own.ifPresent(known -> values.add(known.value()));
    boolean saidByEngine = own.map(Known::origin).equals(Optional.of(Origin.PROBED));
    if (!saidByEngine) {
      peer.value(factor.fact()).ifPresent(values::add);
      values.addAll(usual(factor));
    }
    return List.copyOf(values);
  }

  /** Values that are worth a try though nobody said them. */
  private static List<?> usual(HashFactor factor) {
    return switch (factor) {
      case CACHE_DTYPE ->
          List.of("auto", "fp8", "fp8_e4m3", "fp8_e5m2", "bfloat16", "float16", "fp8_ds_mla");
      case DTYPE -> List.of("torch.bfloat16", "torch.float16", "torch.float32");
      case ATTN_BACKEND_NAME -> AttentionBackends.NAMES;
      case IS_HMA_ENABLED, CROSS_LAYERS_BLOCKS -> List.of(true, false);
      case TRANSFER_MODE -> List.of(TransferMode.PULL, TransferMode.PUSH);
      case SPECULATIVE_CONFIG -> List.of(SpeculativeSetup.NONE);
      case NIXL_CONNECTOR_VERSION ->
          IntStream.rangeClosed(1, ConnectorRelease.NEWEST).boxed().toList();
      case MODEL, VLLM_VERSION, NUM_KV_HEADS, HEAD_SIZE, NUM_HIDDEN_LAYERS -> List.of();
    };
  }

  private Optional<CompatibilityHash> find() {
    Map<HashFactor, Object> values = new EnumMap<>(HashFactor.class);
    factors.forEach(each -> values.put(each.factor(), each.values().getFirst()));
    for (int changes = 0; changes <= MOST_CHANGES; changes++) {
      Optional<CompatibilityHash> found = change(values, 0, changes);
      if (found.isPresent()) {
        return found;
      }
    }
    return Optional.empty();
  }

  /** Tries every way to change that many factors from {@code from} on. */
  private Optional<CompatibilityHash> change(
      Map<HashFactor, Object> values, int from, int changes) {
    if (changes == 0) {
      tries++;
      return new HashFactors(values).hash().filter(hash -> hash.hex().equals(wanted));
    }
    for (int i = from; i < factors.size(); i++) {
      Candidates each = factors.get(i);
      for (Object other : each.values().subList(1, each.values().size())) {
        if (tries >= MOST_HASHES) {
          return Optional.empty();
        }
        Map<HashFactor, Object> changed = new EnumMap<>(values);
        changed.put(each.factor(), other);
        Optional<CompatibilityHash> found = change(changed, i + 1, changes - 1);
        if (found.isPresent()) {
          return found;
        }
      }
    }
    return Optional.empty();
  }

  /** What is known of an engine's factors, for people. */
  static String said(EngineProfile engine) {
    return HashFactors.of(engine::value).values().entrySet().stream()
        .map(entry -> entry.getKey().vllmName() + " " + entry.getValue())
        .collect(Collectors.joining(", "));
  }
}
