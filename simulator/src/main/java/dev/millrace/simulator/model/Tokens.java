package dev.millrace.simulator.model;

import java.util.Arrays;

/** Token ids in order. Immutable. */
public final class Tokens {
  private final int[] ids;

  private Tokens(int[] ids) {
    this.ids = ids;
  }

  /** These tokens. */
  public static Tokens of(int... ids) {
    return new Tokens(ids.clone());
  }

  /** How many there are. */
  public int size() {
    return ids.length;
  }

  /** The ids, to keep. */
  public int[] toArray() {
    return ids.clone();
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Tokens that && Arrays.equals(ids, that.ids);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(ids);
  }

  @Override
  public String toString() {
    return ids.length + " tokens";
  }
}
