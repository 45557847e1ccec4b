package dev.millrace.cli;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/** What came of pairs, as one Markdown table. */
final class PairingTable {
  /**
   * One pair over one transport.
   *
   * @param direct what the decode engine's connector made of it by itself
   * @param way the agent's word for what it did
   * @param answers such as "10 of 10"
   */
  record Outcome(String direct, String way, String answers) {}

  private final Map<Integer, Map<TransportChoice, Outcome>> outcomes = new TreeMap<>();

  PairingTable() {}

  void put(UnequalPair pair, TransportChoice transport, Outcome outcome) {
    outcomes.computeIfAbsent(pair.row(), row -> new TreeMap<>()).put(transport, outcome);
  }

  @Override
  public String toString() {
    List<String> lines = new ArrayList<>();
    lines.add(
        "| | connector | model | prefill | decode | vLLM's connector by itself | `auto` | done by the agent | equal over tcp | over nixl |");
    lines.add("|--:|---|---|---|---|---|---|---|--:|--:|");
    for (UnequalPair pair : UnequalPair.all()) {
      Map<TransportChoice, Outcome> found = outcomes.get(pair.row());
      if (found != null) {
        lines.add(line(pair, found));
      }
    }
    return String.join("\n", lines);
  }

  private static String line(UnequalPair pair, Map<TransportChoice, Outcome> found) {
    return "| %d | %s | %s | %s | %s | %s | %s | %s | %s | %s |"
        .formatted(
            pair.row(),
            pair.versions(),
            pair.model().name().toLowerCase(Locale.ROOT).replace('_', ' '),
            UnequalPair.shown(pair.prefill()),
            UnequalPair.shown(pair.decode()),
            once(found.values().stream().map(Outcome::direct).toList()),
            pair.way(),
            once(found.values().stream().map(Outcome::way).toList()),
            answers(found, TransportChoice.TCP),
            answers(found, TransportChoice.NIXL));
  }

  private static String once(Collection<String> said) {
    return String.join("; ", said.stream().distinct().toList());
  }

  private static String answers(Map<TransportChoice, Outcome> found, TransportChoice transport) {
    Outcome outcome = found.get(transport);
    return outcome == null ? "" : outcome.answers();
  }
}
