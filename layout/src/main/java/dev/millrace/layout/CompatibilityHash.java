package dev.millrace.layout;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * The hash by which two vLLM engines decide whether they may exchange blocks, recomputed from what
 * goes into it. Engines whose hashes differ refuse each other in the handshake; the hash cannot be
 * inverted, but where the factors of both are known it can be said which one differs.
 *
 * <p>SHA-256 over the factors as Python's {@code json.dumps(factors, sort_keys=True)}. Which
 * factors there are depends on the connector's version (vLLM v0.19 to v0.32, {@code
 * nixl/metadata.compute_nixl_compatibility_hash}): {@code is_hma_enabled} from 2 on, {@code
 * cross_layers_blocks} up to 8, {@code speculative_config} from 6 on, {@code transfer_mode} from 7
 * on. Not among them: tensor and pipeline parallelism, block size, number of blocks, layout, the
 * model's revision.
 *
 * @param vllmVersion {@code vllm.__version__}, such as {@code 0.32.0}
 * @param connectorVersion {@code NIXL_CONNECTOR_VERSION}
 * @param model the model as given on the engine's command line, so that a path and a name of the
 *     same model differ
 * @param dtype PyTorch's name of the model's type, such as {@code torch.bfloat16}
 * @param kvHeads KV heads before tensor parallelism
 * @param headSize elements per head
 * @param hiddenLayers layers before pipeline parallelism
 * @param attentionBackend backend of the first layer, such as {@code FLASH_ATTN}
 * @param cacheDtype the flag's value: {@code auto} is not {@code bfloat16}
 * @param crossLayerBlocks whether blocks hold all layers in effect, whatever the flag says
 * @param hmaEnabled whether the hybrid KV-cache manager is on
 * @param speculation the draft model of EAGLE-like methods, or null
 * @param transferMode {@code pull} or {@code push}
 */
public record CompatibilityHash(
    String vllmVersion,
    int connectorVersion,
    String model,
    String dtype,
    int kvHeads,
    int headSize,
    int hiddenLayers,
    String attentionBackend,
    String cacheDtype,
    boolean crossLayerBlocks,
    boolean hmaEnabled,
    @Nullable Speculation speculation,
    String transferMode) {

  /** What the hash takes of a draft model (vLLM: {@code speculative_config}). */
  public record Speculation(
      String method,
      @Nullable String model,
      @Nullable String revision,
      @Nullable String codeRevision,
      boolean parallelDrafting,
      @Nullable String kvCacheDtype,
      @Nullable List<Integer> auxiliaryLayerIds) {

    public Speculation {
      auxiliaryLayerIds = auxiliaryLayerIds == null ? null : List.copyOf(auxiliaryLayerIds);
    }

    private Map<String, @Nullable Object> factors() {
      Map<String, @Nullable Object> factors = new TreeMap<>();
      factors.put("method", method);
      factors.put("model", model);
      factors.put("revision", revision);
      factors.put("code_revision", codeRevision);
      factors.put("parallel_drafting", parallelDrafting);
      factors.put("kv_cache_dtype", kvCacheDtype);
      factors.put("auxiliary_layer_ids", auxiliaryLayerIds);
      return factors;
    }
  }

  /**
   * A factor on which two engines differ.
   *
   * @param factor vLLM's name of it
   * @param ours its value as JSON, or {@code absent} if this connector version has no such factor
   * @param theirs the other's value
   */
  public record Difference(String factor, String ours, String theirs) {}

  /** The hash as an engine sends it: 64 hexadecimal digits. */
  public String hex() {
    try {
      MessageDigest sha256 = MessageDigest.getInstance("SHA-256");
      byte[] json = json().getBytes(StandardCharsets.US_ASCII);
      return HexFormat.of().formatHex(sha256.digest(json));
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every Java platform has SHA-256", e);
    }
  }

  /** What the hash is taken of. */
  public String json() {
    return PythonJson.dumps(factors());
  }

  /** Why the other engine's hash is another one; empty if it is the same. */
  public List<Difference> differences(CompatibilityHash other) {
    Map<String, @Nullable Object> ours = factors();
    Map<String, @Nullable Object> theirs = other.factors();
    TreeSet<String> names = new TreeSet<>(ours.keySet());
    names.addAll(theirs.keySet());
    List<Difference> differences = new ArrayList<>();
    for (String name : names) {
      String here = value(ours, name);
      String there = value(theirs, name);
      if (!here.equals(there)) {
        differences.add(new Difference(name, here, there));
      }
    }
    return differences;
  }

  private static String value(Map<String, @Nullable Object> factors, String name) {
    return factors.containsKey(name) ? PythonJson.dumps(factors.get(name)) : "absent";
  }

  private Map<String, @Nullable Object> factors() {
    Map<String, @Nullable Object> factors = new TreeMap<>();
    factors.put("vllm_version", vllmVersion);
    factors.put("nixl_connector_version", connectorVersion);
    factors.put("model", model);
    factors.put("dtype", dtype);
    factors.put("num_kv_heads", kvHeads);
    factors.put("head_size", headSize);
    factors.put("num_hidden_layers", hiddenLayers);
    factors.put("attn_backend_name", attentionBackend);
    factors.put("cache_dtype", cacheDtype);
    if (connectorVersion >= 2) {
      factors.put("is_hma_enabled", hmaEnabled);
    }
    if (connectorVersion <= 8) {
      factors.put("cross_layers_blocks", crossLayerBlocks);
    }
    if (connectorVersion >= 6) {
      factors.put("speculative_config", speculation == null ? null : speculation.factors());
    }
    if (connectorVersion >= 7) {
      factors.put("transfer_mode", transferMode);
    }
    return factors;
  }
}
