package dev.millrace.simulator;

import dev.millrace.layout.CompatibilityHash.Speculation;
import dev.millrace.layout.compatibility.TransferMode;
import java.util.Optional;

/**
 * What an engine was launched with that others see in its compatibility hash only.
 *
 * @param modelPath the model as the command line has it: another path to the same files is another
 *     hash
 * @param dtype PyTorch's name of the model's type
 * @param attentionBackend attention backend, also in the handshake
 * @param cacheDtype {@code --kv-cache-dtype}: {@code auto} is not {@code bfloat16}
 * @param hybridCaches whether the hybrid KV-cache manager is on
 * @param speculation the draft model of EAGLE-like methods
 * @param transferMode who moves the blocks; a simulated engine pulls, whatever it says
 */
public record LaunchFlags(
    String modelPath,
    String dtype,
    String attentionBackend,
    String cacheDtype,
    boolean hybridCaches,
    Optional<Speculation> speculation,
    TransferMode transferMode) {}
