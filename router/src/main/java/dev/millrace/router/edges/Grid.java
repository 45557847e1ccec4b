package dev.millrace.router.edges;

import dev.millrace.router.pools.Worker;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The edges between the workers of two pools, of one or more routes that pair them by the same
 * rules. Shared by all event loops: what a chooser needs of them is put together anew when one
 * changes, not when somebody chooses.
 */
final class Grid {
  private final Map<Worker, Map<Worker, Edge>> all = new HashMap<>();
  private final List<Edge> inOrder;
  private volatile RouteEdges.Usable usable = new RouteEdges.Usable(List.of(), Map.of());

  /** Of a thousand workers there are a quarter of a million edges: too many to look through. */
  private volatile @Nullable Edge fastest;

  Grid(List<Worker> prefilling, List<Worker> decoding, EdgeState first, Edge.Listener listener) {
    List<Edge> made = new ArrayList<>();
    for (Worker prefill : prefilling) {
      Map<Worker, Edge> row = new HashMap<>();
      for (Worker decode : decoding) {
        Edge edge =
            new Edge(
                prefill,
                decode,
                first,
                (changed, before) -> {
                  sortOut();
                  listener.changed(changed, before);
                });
        row.put(decode, edge);
        made.add(edge);
      }
      all.put(prefill, row);
    }
    inOrder = List.copyOf(made);
    sortOut();
  }

  /** Finds anew which of them carry exchanges. */
  synchronized void sortOut() {
    List<Worker> prefill = new ArrayList<>();
    Map<Worker, List<Worker>> decode = new HashMap<>();
    for (Edge edge : inOrder) {
      if (edge.isUsable() && !edge.prefill().isDraining() && !edge.decode().isDraining()) {
        if (!decode.containsKey(edge.prefill())) {
          prefill.add(edge.prefill());
        }
        decode.computeIfAbsent(edge.prefill(), first -> new ArrayList<>()).add(edge.decode());
      }
    }
    usable = new RouteEdges.Usable(List.copyOf(prefill), decode);
    Edge known = fastest;
    if (known != null && (known.prefill().isDraining() || known.decode().isDraining())) {
      fastest = null;
    }
  }

  /**
   * Bytes per second over the edge that was the fastest when last something went over one; 0 if not
   * known.
   */
  double fastest() {
    Edge known = fastest;
    return known == null ? 0 : known.bandwidth().bytesPerSecond();
  }

  /** Something has gone over an edge. */
  void measured(Edge edge) {
    if (edge.bandwidth().bytesPerSecond() > fastest()) {
      fastest = edge;
    }
  }

  RouteEdges.Usable usable() {
    return usable;
  }

  List<Edge> edges() {
    return inOrder;
  }

  Edge between(Worker prefill, Worker decode) {
    Map<Worker, Edge> row = all.get(prefill);
    Edge edge = row == null ? null : row.get(decode);
    return Objects.requireNonNull(edge, () -> prefill + " and " + decode + " are of no one route");
  }
}
