package dev.millrace.config;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Where routes send what they cannot serve, by names of routes: chains that have to end. */
final class Fallbacks {
  /** Whoever has tried this often may as well be told that it does not work. */
  static final int MOST = 4;

  private final Map<String, String> next = new HashMap<>();

  void add(String from, String to) {
    next.put(from, to);
  }

  /** What a route's requests may come through, itself first; the first one again ends a cycle. */
  List<String> chain(String from) {
    List<String> chain = new ArrayList<>(List.of(from));
    String to = next.get(from);
    while (to != null) {
      boolean again = chain.contains(to);
      chain.add(to);
      to = again ? null : next.get(to);
    }
    return chain;
  }

  /** Whether a route's requests may come back to it. */
  boolean isInCycle(String from) {
    List<String> chain = chain(from);
    return chain.size() > 1 && chain.getLast().equals(from);
  }

  /** Whether a route's requests may come through more routes than they are let. */
  boolean isTooLong(String from) {
    return chain(from).size() - 1 > MOST;
  }
}
