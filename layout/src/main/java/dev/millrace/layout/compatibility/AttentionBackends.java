package dev.millrace.layout.compatibility;

import dev.millrace.layout.Layout;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * What is known of vLLM's attention backends (v0.19 to v0.32): the blocks that their kernels take,
 * and how they lay them out.
 */
final class AttentionBackends {
  /** Keeps K transposed over the whole block, under the layout name of HND. */
  static final String CPU = "CPU_ATTN";

  private static final String FLASH_ATTN = "FLASH_ATTN";
  private static final String FLASHINFER = "FLASHINFER";
  private static final String TRITON = "TRITON_ATTN";

  /** Those for which cross-layer blocks can be switched on. */
  private static final Set<String> CROSS_LAYER = Set.of(FLASH_ATTN, FLASHINFER, TRITON);

  /** {@code get_supported_kernel_block_sizes} of FlashInfer, largest first. */
  private static final List<Integer> FLASHINFER_BLOCKS = List.of(64, 32, 16);

  /** Names that {@link HashExplanation} tries. */
  static final List<String> NAMES =
      List.of(FLASH_ATTN, FLASHINFER, TRITON, CPU, "FLASHMLA", "FLASH_ATTN_MLA", "TRITON_MLA");

  private AttentionBackends() {}

  /**
   * Tokens of the block that the kernel sees where the scheduler's block has {@code blockSize}
   * ({@code select_common_block_size}): the scheduler's own if the kernel takes that, else the
   * largest that divides it. Empty if the backend's sizes are not known.
   */
  static Optional<Integer> kernelBlock(String backend, int blockSize) {
    return switch (backend) {
      case FLASH_ATTN, TRITON -> multiple(blockSize, 16);
      case CPU -> multiple(blockSize, 32);
      case FLASHINFER ->
          FLASHINFER_BLOCKS.stream().filter(size -> blockSize % size == 0).findFirst();
      default -> Optional.empty();
    };
  }

  private static Optional<Integer> multiple(int blockSize, int of) {
    return blockSize % of == 0 ? Optional.of(blockSize) : Optional.empty();
  }

  /**
   * Whether {@code enable_cross_layers_blocks} takes effect; backends of MLA are not among them.
   */
  static boolean canHoldAllLayers(String backend) {
    return CROSS_LAYER.contains(backend);
  }

  /** Whether it is known what a block of this backend looks like inside. */
  static boolean isInteriorKnown(String backend) {
    return CROSS_LAYER.contains(backend) || backend.equals(CPU);
  }

  /**
   * The layout that a NIXL connector chooses where nothing is said: heads outermost. K and V are
   * apart in older releases.
   */
  static Optional<Layout> usualLayout(String backend, ConnectorRelease release) {
    if (backend.equals(CPU)) {
      return Optional.of(Layout.CPU_ATTENTION);
    }
    if (!CROSS_LAYER.contains(backend)) {
      return Optional.empty();
    }
    if (release.packsKeysAndValues()) {
      return Optional.of(Layout.HND);
    }
    if (release.keepsKeysAndValuesInOneTensor() || backend.equals(FLASHINFER)) {
      return Optional.of(Layout.HND_SPLIT);
    }
    return backend.equals(FLASH_ATTN) ? Optional.of(Layout.HND_SEPARATE) : Optional.empty();
  }
}
