package dev.millrace.transfer.nixl;

/** Where memory is, in NIXL's terms. */
public enum MemoryKind {
  /** Host memory. */
  DRAM(0),
  /** GPU memory. */
  VRAM(1);

  private final int code;

  MemoryKind(int code) {
    this.code = code;
  }

  int code() {
    return code;
  }
}
