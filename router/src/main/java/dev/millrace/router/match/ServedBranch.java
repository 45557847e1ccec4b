package dev.millrace.router.match;

import dev.millrace.router.admit.Gate;
import dev.millrace.router.choose.Chooser;
import java.util.concurrent.atomic.LongAdder;

/**
 * A pair of a route's pools, with who chooses among their workers. Shared by all event loops.
 *
 * @param name what records and metrics call it
 * @param model the name by which its engines know the model
 * @param chooser of its workers
 * @param line of those that wait for room on its decode workers; the one that is inside is the next
 * @param taken exchanges that it got since the start
 */
public record ServedBranch(String name, String model, Chooser chooser, Gate line, LongAdder taken) {
  /** How many exchanges wait for room on its decode workers. */
  long waitingForRoom() {
    return (long) line.inside() + line.waiting();
  }

  /** The name by which its engines are asked for a model that clients know by another. */
  public String askedFor(String model) {
    return chooser.route().servedModelName().orElse(model);
  }
}
