package dev.millrace.conformance;

import dev.millrace.conformance.Outcome.Counts;
import dev.millrace.conformance.Outcome.Likely;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** What the events of a stream have said so far. */
final class Gathered {
  private final Map<Long, StringBuilder> texts = new TreeMap<>();
  private final Map<Long, String> ends = new TreeMap<>();
  private final Map<Long, List<Likely>> logprobs = new TreeMap<>();
  private final List<Counts> usages = new ArrayList<>();

  void add(long index, String text, Optional<String> end, List<Likely> likely) {
    texts.computeIfAbsent(index, i -> new StringBuilder()).append(text);
    logprobs.computeIfAbsent(index, i -> new ArrayList<>()).addAll(likely);
    end.ifPresent(reason -> ends.put(index, reason));
  }

  void usage(Counts counts) {
    usages.add(counts);
  }

  Outcome outcome() {
    Expect.same(usages.size(), 1, "the number of events with usage");
    return new Outcome(
        texts.values().stream().map(StringBuilder::toString).toList(),
        List.copyOf(ends.values()),
        List.copyOf(logprobs.values()),
        usages.getFirst());
  }
}
