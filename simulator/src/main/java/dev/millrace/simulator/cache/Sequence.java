package dev.millrace.simulator.cache;

import dev.millrace.layout.BlockTable;
import dev.millrace.simulator.model.KvFunction;
import dev.millrace.simulator.model.Prediction;
import dev.millrace.simulator.model.Spoken;
import java.util.Arrays;
import java.util.List;

/**
 * A sequence of tokens and the blocks that hold what layers keep of them.
 *
 * <p>Three marks move along it: tokens below {@link #computed} have their vectors in memory and are
 * in the states, tokens below {@code digested} have been read back. The next token follows from the
 * digest of all that attention may see.
 *
 * <p>Used by one thread at a time, the event loop or the worker that it handed the sequence to.
 */
public final class Sequence {
  private final KvMemory memory;
  private final CacheShape shape;
  private final GroupBlocks blocks;
  private final int choice;
  private final SequenceDigest digest;
  private int[] tokens;
  private long[] prefixes;
  private int size;
  private int computed;
  private int digested;

  /**
   * A sequence that begins with a prompt.
   *
   * @param prefixes the hashes of the prompt's prefixes, as {@link #prefixes} makes them
   * @param blocks enough blocks for all tokens that will ever be in it
   * @param computed how many tokens the blocks already hold
   * @param choice which of several answers to the prompt this is, from 0
   */
  public Sequence(
      KvMemory memory,
      int[] prompt,
      long[] prefixes,
      GroupBlocks blocks,
      int computed,
      int choice) {
    this.memory = memory;
    this.shape = new CacheShape(memory.spec());
    this.blocks = blocks;
    this.choice = choice;
    this.tokens = prompt.clone();
    this.prefixes = prefixes.clone();
    this.size = prompt.length;
    this.computed = computed;
    this.digest = memory.newDigest();
  }

  /** The hash of each prefix of a prompt: entry <i>i</i> covers tokens 0 to <i>i</i>. */
  public static long[] prefixes(String model, int[] prompt) {
    long[] prefixes = new long[prompt.length];
    long prefix = KvFunction.emptyPrefix(model);
    for (int i = 0; i < prompt.length; i++) {
      prefix = KvFunction.extend(prefix, prompt[i]);
      prefixes[i] = prefix;
    }
    return prefixes;
  }

  /** The prefix hashes at the ends of the full blocks, by which blocks are published and found. */
  public static long[] blockPrefixes(long[] prefixes, int tokens, int blockSize) {
    long[] ends = new long[tokens / blockSize];
    for (int i = 0; i < ends.length; i++) {
      ends[i] = prefixes[(i + 1) * blockSize - 1];
    }
    return ends;
  }

  /** Number of tokens. */
  public int size() {
    return size;
  }

  /** Number of tokens whose vectors are in memory. */
  public int computed() {
    return computed;
  }

  /** All blocks of the sequence, filled or not. */
  public GroupBlocks blocks() {
    return blocks;
  }

  /**
   * Per KV-cache group, the blocks that a decode engine needs of the first {@code tokens} tokens.
   */
  public List<List<Integer>> exported(int tokens) {
    return shape.exported(blocks, tokens);
  }

  /**
   * Per KV-cache group, the table of the blocks into which tokens {@code [from, to)} are loaded.
   */
  public List<BlockTable> tablesBetween(int from, int to) {
    return shape.tables(blocks, from, to);
  }

  /** Computes all tokens that have not been. */
  public void compute() {
    memory.compute(this, computed, size);
    computed = size;
  }

  /** Takes note that somebody else has computed the first {@code tokens} tokens. */
  public void loaded(int tokens) {
    computed = Math.max(computed, tokens);
  }

  /** Whether somebody may still write to a rank's share of the sequence's blocks. */
  public boolean mayBeWritten(int rank, Writers writers) {
    return memory.mayBeWritten(rank, blocks.all(), writers);
  }

  /** Zeroes everything from token {@code from} on, to the end of the last token's block. */
  public void zeroFrom(int from) {
    memory.zero(this, from, Math.ceilDiv(size, shape.idTokens()) * shape.idTokens());
  }

  /** Flips a bit of one KV byte of a token. */
  public void corrupt(int token) {
    memory.corrupt(this, token);
  }

  /** Moves the vectors of tokens behind {@code from} one token to the front. */
  public void shift(int from) {
    for (int token = from; token + 1 < size; token++) {
      memory.copyToken(this, token + 1, token);
    }
  }

  /** Says {@code count} more tokens and returns them. */
  public Spoken decode(int count) {
    long[] states = new long[count];
    for (int i = 0; i < count; i++) {
      compute();
      memory.digest(this, digested, size, digest);
      digested = size;
      states[i] = digest.state();
      append(Prediction.said(states[i], choice));
    }
    return Spoken.in(choice, states);
  }

  /** The prefix hashes of the full blocks whose vectors are in memory. */
  public long[] fullBlockPrefixes() {
    return blockPrefixes(prefixes, computed, shape.idTokens());
  }

  long prefix(int token) {
    return prefixes[token];
  }

  /** Whether the block that a token belongs to is there. */
  boolean has(int group, int token) {
    return blocks.id(group, token / shape.idTokens()) != 0;
  }

  /** The block, as the attention kernel counts them, that a token belongs to. */
  long kernelBlock(int group, int token) {
    long id = blocks.id(group, token / shape.idTokens());
    return id * memory.spec().blocksPerId() + token % shape.idTokens() / memory.spec().blockSize();
  }

  /** The block that holds the states of a state-space group. */
  long stateBlock(int group) {
    return blocks.id(group, 0);
  }

  private void append(int token) {
    if (size == tokens.length) {
      int capacity = Math.max(16, size * 2);
      tokens = Arrays.copyOf(tokens, capacity);
      prefixes = Arrays.copyOf(prefixes, capacity);
    }
    tokens[size] = token;
    prefixes[size] = KvFunction.extend(prefixes[size - 1], token);
    size++;
  }
}
