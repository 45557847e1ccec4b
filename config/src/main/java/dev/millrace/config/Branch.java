package dev.millrace.config;

import java.util.Optional;

/**
 * Pools that take a share of a route's requests.
 *
 * @param name what records and metrics call it
 * @param weight how much of all weights together its share is
 * @param servedModelName the name by which its engines are asked, if not the route's
 * @param prefill where the prompt is computed; empty where one worker does everything
 * @param decode where the answer is generated
 */
public record Branch(
    String name,
    int weight,
    Optional<String> servedModelName,
    Optional<Stage> prefill,
    Stage decode) {
  public Branch {
    Split.requireWeight(weight);
    if (name.isBlank()) {
      throw new IllegalArgumentException("a branch needs a name");
    }
  }
}
