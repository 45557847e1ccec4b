package dev.millrace.config;

import java.net.InetAddress;
import java.util.Arrays;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Addresses whose first bits are equal, written as one address or as CIDR: {@code 10.0.0.7}, {@code
 * 10.0.0.0/8}, {@code fd00::/8}. Names are not taken: a list of who may ask must not depend on a
 * name server.
 */
public final class AddressRange {
  /** The JDK would also take 10 for 0.0.0.10. */
  private static final Pattern LITERAL = Pattern.compile("\\d+(\\.\\d+){3}|.*:.*");

  private final byte[] address;
  private final int bits;
  private final String text;

  private AddressRange(byte[] address, int bits, String text) {
    this.address = address;
    this.bits = bits;
    this.text = text;
  }

  /**
   * Reads a range.
   *
   * @throws IllegalArgumentException with what is expected
   */
  public static AddressRange parse(String text) {
    int slash = text.indexOf('/');
    String host = slash < 0 ? text : text.substring(0, slash);
    if (!LITERAL.matcher(host).matches()) {
      throw unreadable(text, null);
    }
    try {
      byte[] address = InetAddress.ofLiteral(host).getAddress();
      int all = address.length * Byte.SIZE;
      int bits = slash < 0 ? all : Integer.parseInt(text.substring(slash + 1));
      if (bits >= 0 && bits <= all) {
        return new AddressRange(address, bits, text);
      }
    } catch (IllegalArgumentException e) {
      throw unreadable(text, e);
    }
    throw unreadable(text, null);
  }

  private static IllegalArgumentException unreadable(String text, @Nullable Throwable cause) {
    return new IllegalArgumentException(
        "\"%s\" is no address and no range of addresses, such as 10.0.0.7 or 10.0.0.0/8"
            .formatted(text),
        cause);
  }

  /** Whether an address is one of them. */
  public boolean contains(InetAddress other) {
    byte[] bytes = other.getAddress();
    if (bytes.length != address.length) {
      return false;
    }
    int whole = bits / Byte.SIZE;
    int rest = bits % Byte.SIZE;
    return Arrays.equals(bytes, 0, whole, address, 0, whole)
        && (rest == 0 || ((bytes[whole] ^ address[whole]) & 0xFF) >> (Byte.SIZE - rest) == 0);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof AddressRange that
        && bits == that.bits
        && Arrays.equals(address, that.address);
  }

  @Override
  public int hashCode() {
    return 31 * Arrays.hashCode(address) + bits;
  }

  /** As it was written. */
  @Override
  public String toString() {
    return text;
  }
}
