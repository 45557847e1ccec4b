package dev.millrace.simulator.model;

import java.nio.charset.StandardCharsets;

/**
 * Tokens and their texts.
 *
 * <p>Text becomes one token per byte of its UTF-8 form: ids 0 to 255. What the model says are
 * words, a space and three syllables, ids from 256 on; 64 syllables make 262 144 words, so that two
 * different states of the cache hardly ever say the same. A word that comes back as part of a
 * prompt is bytes again; who wants the same ids sends the ids.
 */
public final class Vocabulary {
  private static final int BYTES = 256;
  private static final int SYLLABLES = 64;
  private static final int WORDS = SYLLABLES * SYLLABLES * SYLLABLES;
  private static final String CONSONANTS = "bdfghjklmnprstvz";
  private static final String VOWELS = "aeio";

  private Vocabulary() {}

  /** Number of token ids. */
  public static int size() {
    return BYTES + WORDS;
  }

  /** The tokens of a text. */
  public static int[] encode(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    int[] tokens = new int[bytes.length];
    for (int i = 0; i < bytes.length; i++) {
      tokens[i] = bytes[i] & 0xFF;
    }
    return tokens;
  }

  /** The word that the model says in a state. */
  public static int wordFor(long state) {
    return BYTES + (int) (state >>> 40) % WORDS;
  }

  /** The text of a token; a byte that is no character of its own is U+FFFD. */
  public static String text(int token) {
    if (token < BYTES) {
      return token < 128 ? String.valueOf((char) token) : "\uFFFD";
    }
    StringBuilder word = new StringBuilder(7).append(' ');
    int rest = token - BYTES;
    for (int i = 0; i < 3; i++) {
      int syllable = rest % SYLLABLES;
      rest /= SYLLABLES;
      word.append(CONSONANTS.charAt(syllable / 4)).append(VOWELS.charAt(syllable % 4));
    }
    return word.toString();
  }
}
