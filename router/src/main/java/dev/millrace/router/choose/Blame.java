package dev.millrace.router.choose;

import dev.millrace.router.edges.Edge;
import dev.millrace.router.pools.Worker;
import java.util.HashSet;
import java.util.Set;

/** Whom an exchange has seen failing. Owned by its event loop. */
public final class Blame {
  private Set<Worker> workers = Set.of();
  private Set<Edge> edges = Set.of();

  /** Nobody yet. */
  public Blame() {}

  /** A worker has failed. */
  public void on(Worker worker) {
    if (workers.isEmpty()) {
      workers = new HashSet<>();
    }
    workers.add(worker);
  }

  /** Blocks did not get over an edge. */
  public void on(Edge edge) {
    if (edges.isEmpty()) {
      edges = new HashSet<>();
    }
    edges.add(edge);
  }

  boolean isNobodys() {
    return workers.isEmpty() && edges.isEmpty();
  }

  boolean has(Worker worker) {
    return workers.contains(worker);
  }

  boolean has(Edge edge) {
    return edges.contains(edge);
  }
}
