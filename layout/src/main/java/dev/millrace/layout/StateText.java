package dev.millrace.layout;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * States as text: a kind and its numbers, as {@code mamba2:48:64:1:128}.
 *
 * <pre>
 * mamba1:CHANNELS:STATE_SIZE
 * mamba2:HEADS:HEAD_SIZE:GROUPS:STATE_SIZE
 * gdn:KEY_HEADS:VALUE_HEADS:KEY_SIZE:VALUE_SIZE
 * </pre>
 */
final class StateText {
  private static final int LARGEST = 1 << 20;

  private enum Kind {
    MAMBA1("mamba1", 2),
    MAMBA2("mamba2", 4),
    GATED_DELTA_NET("gdn", 4);

    private final String word;
    private final int numbers;

    Kind(String word, int numbers) {
      this.word = word;
      this.numbers = numbers;
    }
  }

  private StateText() {}

  /**
   * Reads a state.
   *
   * @throws IllegalArgumentException if it is none
   */
  static StateShape parse(String text, StateShape.Convolution convolution, ElementType temporal) {
    String[] words = text.split(":", -1);
    for (Kind kind : Kind.values()) {
      if (kind.word.equals(words[0]) && words.length == kind.numbers + 1) {
        int[] n = Arrays.stream(words).skip(1).mapToInt(StateText::number).toArray();
        return switch (kind) {
          case MAMBA1 -> StateShape.mamba1(n[0], n[1], convolution, temporal);
          case MAMBA2 -> StateShape.mamba2(n[0], n[1], n[2], n[3], convolution, temporal);
          case GATED_DELTA_NET ->
              StateShape.gatedDeltaNet(n[0], n[1], n[2], n[3], convolution, temporal);
        };
      }
    }
    throw new IllegalArgumentException(
        "\"%s\" is not a state; known: mamba1:CHANNELS:STATE_SIZE, mamba2:HEADS:HEAD_SIZE:GROUPS:STATE_SIZE, gdn:KEY_HEADS:VALUE_HEADS:KEY_SIZE:VALUE_SIZE"
            .formatted(text));
  }

  private static int number(String word) {
    try {
      int number = Integer.parseInt(word);
      if (number >= 1 && number <= LARGEST) {
        return number;
      }
    } catch (NumberFormatException notANumber) {
      // Said below.
    }
    throw new IllegalArgumentException(
        "\"%s\" in a state is not a whole number from 1 to %d".formatted(word, LARGEST));
  }

  /**
   * The layers of a model in which attention layers and state-space layers take turns: the
   * attention layer ends each turn. State-space layers are spread over as many groups as it takes
   * for each to have as many layers as there are attention layers, the first of each turn in the
   * first group (vLLM v0.32, {@code kv_cache_utils}).
   *
   * @throws IllegalArgumentException if the turns are not equally long
   */
  static List<CacheGroup> groups(int attentionLayers, int stateLayers, StateShape state) {
    if (stateLayers % attentionLayers != 0) {
      throw new IllegalArgumentException(
          "state-layers=%d is no multiple of layers=%d".formatted(stateLayers, attentionLayers));
    }
    int each = stateLayers / attentionLayers;
    List<CacheGroup> groups = new ArrayList<>();
    for (int i = 0; i < each; i++) {
      groups.add(new CacheGroup.StateSpace(everyTurn(attentionLayers, each + 1, i), state));
    }
    groups.add(new CacheGroup.Full(everyTurn(attentionLayers, each + 1, each)));
    return groups;
  }

  private static List<Integer> everyTurn(int turns, int length, int place) {
    List<Integer> layers = new ArrayList<>();
    for (int turn = 0; turn < turns; turn++) {
      layers.add(turn * length + place);
    }
    return layers;
  }

  /** Writes a state, if text can say it. */
  static Optional<String> format(StateShape state) {
    List<StateShape.Part> parts = state.parts();
    StateShape.Part temporal = parts.getLast();
    StateShape.Part last = parts.get(parts.size() - 2);
    if (parts.size() == 2) {
      return Optional.of(text(Kind.MAMBA1, last.channels(), temporal.elementsPerChannel()));
    }
    if (parts.size() != 4) {
      return Optional.empty();
    }
    return switch (parts.getFirst().name()) {
      case "x" -> {
        int headSize = parts.getFirst().channels() / temporal.channels();
        int stateSize = temporal.elementsPerChannel() / Math.max(1, headSize);
        int groups = last.channels() / Math.max(1, stateSize);
        yield Optional.of(text(Kind.MAMBA2, temporal.channels(), headSize, groups, stateSize));
      }
      case "Q" -> {
        int valueSize = last.channels() / temporal.channels();
        int keySize = temporal.elementsPerChannel() / Math.max(1, valueSize);
        int keyHeads = parts.getFirst().channels() / Math.max(1, keySize);
        yield Optional.of(
            text(Kind.GATED_DELTA_NET, keyHeads, temporal.channels(), keySize, valueSize));
      }
      default -> Optional.empty();
    };
  }

  private static String text(Kind kind, int... numbers) {
    StringBuilder text = new StringBuilder(kind.word);
    for (int number : numbers) {
      text.append(':').append(number);
    }
    return text.toString();
  }
}
