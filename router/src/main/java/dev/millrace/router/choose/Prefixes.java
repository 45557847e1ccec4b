package dev.millrace.router.choose;

import dev.millrace.router.http.Prompt;
import java.util.Arrays;

/**
 * The hashes of a prompt's beginnings, piece by piece.
 *
 * <p>{@code hash(0) = H(model)}, {@code hash(i) = H(hash(i-1), piece(i))}: equal hashes mean an
 * equal model and equal bytes from the start. Pieces have {@value #PIECE_BYTES} bytes, about the
 * text of 128 tokens or eight of vLLM's blocks; what is left at the end of a prompt is no piece,
 * for the next turn of a chat goes on there. A part of a prompt that others follow has its rest as
 * a shorter piece.
 */
final class Prefixes {
  static final int PIECE_BYTES = 512;

  /** What is shared beyond that is found by what is before it. */
  static final int MOST_PIECES = 2048;

  private static final int FIRST_PIECES = 16;

  private long[] hashes = new long[FIRST_PIECES];
  private int[] ends = new int[FIRST_PIECES];
  private int count;

  private long last;
  private int bytes;
  private byte[] restIn = {};
  private int restFrom;
  private int restTo;

  private Prefixes(long seed) {
    this.last = seed;
  }

  static Prefixes of(String model, Prompt prompt) {
    Prefixes prefixes = new Prefixes(Fingerprint.of(model));
    prompt.read(prefixes::part);
    return prefixes;
  }

  private void part(byte[] text, int from, int to) {
    if (restTo > restFrom) {
      piece(restIn, restFrom, restTo);
    }
    int at = from;
    for (; at + PIECE_BYTES <= to && count < MOST_PIECES; at += PIECE_BYTES) {
      piece(text, at, at + PIECE_BYTES);
    }
    restIn = text;
    restFrom = at;
    restTo = to;
  }

  private void piece(byte[] text, int from, int to) {
    if (count == MOST_PIECES) {
      return;
    }
    if (count == hashes.length) {
      hashes = Arrays.copyOf(hashes, 2 * count);
      ends = Arrays.copyOf(ends, 2 * count);
    }
    last = Fingerprint.of(last, text, from, to);
    bytes += to - from;
    hashes[count] = last;
    ends[count] = bytes;
    count++;
  }

  /** How many beginnings there are. */
  int count() {
    return count;
  }

  /** The hash of one of them, the shortest first. */
  long hash(int index) {
    return hashes[index];
  }

  /** How many bytes it has. */
  int bytes(int index) {
    return ends[index];
  }
}
