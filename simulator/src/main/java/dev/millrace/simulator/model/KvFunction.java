package dev.millrace.simulator.model;

import java.nio.charset.StandardCharsets;

/**
 * What the simulated model computes.
 *
 * <p>A prefix is a 64-bit hash, extended token by token. The KV vector of one token, layer, KV part
 * and head is a stream of 64-bit words, {@code word(vectorSeed, i)}; elements take the stream's
 * bytes in order, so the vector does not depend on how it lies in memory. The digest of a vector
 * absorbs its words one by one; each step is a bijection of both its inputs, so a vector with one
 * wrong word always has a wrong digest. Digests are then summed, which makes the sum independent of
 * the order in which ranks and regions are walked.
 *
 * <p>A state-space layer's state is changed in place by every token: {@code stateAfter} makes each
 * element from the one before.
 */
public final class KvFunction {
  private static final long GOLDEN = 0x9E3779B97F4A7C15L;
  private static final long ABSORB = 0xD6E8FEB86659FD93L;

  /** Beside K and V: a state is neither. */
  private static final int STATE = 2;

  private KvFunction() {}

  /** The hash of the empty prefix of a model: other models have other bytes. */
  public static long emptyPrefix(String model) {
    long hash = GOLDEN;
    for (byte b : model.getBytes(StandardCharsets.UTF_8)) {
      hash = extend(hash, b);
    }
    return hash;
  }

  /** The hash of {@code prefix} followed by {@code token}. */
  public static long extend(long prefix, int token) {
    return mix(prefix * 31 + token + GOLDEN);
  }

  /** The seed of the vector of a token whose prefix, itself included, is {@code prefix}. */
  public static long vectorSeed(long prefix, int layer, int kv, int head) {
    return mix(prefix ^ lane(layer, kv, head));
  }

  /** The {@code index}-th 8 bytes of a vector. */
  public static long word(long vectorSeed, int index) {
    return mix(vectorSeed + index * GOLDEN);
  }

  /** Where the digest of the vector of token number {@code position} starts. */
  public static long digestSeed(int position, int layer, int kv, int head) {
    return mix(position * ABSORB + lane(layer, kv, head));
  }

  /** The seed of what a token whose prefix is {@code prefix} does to a channel of a state. */
  public static long stateSeed(long prefix, int layer, int channel) {
    return mix(prefix ^ lane(layer, STATE, channel));
  }

  /**
   * An element of a state after one more token; only its lowest bits count. For whatever width it
   * has this is a bijection of {@code before}, so a wrong state stays wrong.
   *
   * @param seed what the token does to the channel
   * @param index of the element in its channel
   */
  public static long stateAfter(long before, long seed, int index) {
    return (before + word(seed, index)) * ABSORB;
  }

  /** Where the digest of a channel of a state starts. */
  public static long stateDigestSeed(int layer, int channel) {
    return mix(lane(layer, STATE, channel));
  }

  /** The digest after one more word. */
  public static long absorb(long digest, long word) {
    long next = (digest ^ word) * ABSORB;
    return next ^ (next >>> 29);
  }

  /** The last step of a digest, before it is summed. */
  public static long finish(long digest) {
    return mix(digest);
  }

  /** Folds one more value into a state that depends on the order of the values. */
  public static long fold(long state, long value) {
    return mix(state * 31 ^ value);
  }

  /** Stafford's variant 13 of the finaliser of MurmurHash3: a bijection. */
  private static long mix(long value) {
    long z = (value ^ (value >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return z ^ (z >>> 31);
  }

  private static long lane(int layer, int kv, int head) {
    return mix(((long) layer << 34) ^ ((long) kv << 32) ^ head ^ GOLDEN);
  }
}
