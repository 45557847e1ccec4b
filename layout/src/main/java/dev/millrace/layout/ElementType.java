package dev.millrace.layout;

import java.util.Locale;

/** Element types of a KV cache; {@link #vllmName} is what vLLM's compatibility hash calls them. */
public enum ElementType {
  FLOAT32("fp32", "torch.float32", 4),
  FLOAT16("fp16", "torch.float16", 2),
  BFLOAT16("bf16", "torch.bfloat16", 2),
  FLOAT8_E4M3("fp8_e4m3", "torch.float8_e4m3fn", 1),
  FLOAT8_E5M2("fp8_e5m2", "torch.float8_e5m2", 1),
  INT8("int8", "torch.int8", 1);

  private final String shortName;
  private final String vllmName;
  private final int bytes;

  ElementType(String shortName, String vllmName, int bytes) {
    this.shortName = shortName;
    this.vllmName = vllmName;
    this.bytes = bytes;
  }

  /** The name on command lines and in routing tables, such as {@code bf16}. */
  public String shortName() {
    return shortName;
  }

  /** The name of PyTorch's dtype, such as {@code torch.bfloat16}. */
  public String vllmName() {
    return vllmName;
  }

  /** Size of one element. */
  public int bytes() {
    return bytes;
  }

  /**
   * Reads a short name or PyTorch's name, with or without {@code torch.}.
   *
   * @throws IllegalArgumentException with the known names, if there is no such type
   */
  public static ElementType parse(String name) {
    String wanted = name.toLowerCase(Locale.ROOT);
    for (ElementType type : values()) {
      if (wanted.equals(type.shortName)
          || wanted.equals(type.vllmName)
          || ("torch." + wanted).equals(type.vllmName)) {
        return type;
      }
    }
    throw new IllegalArgumentException(
        "\""
            + name
            + "\" is not an element type; known: fp32, fp16, bf16, fp8_e4m3, fp8_e5m2, int8");
  }
}
