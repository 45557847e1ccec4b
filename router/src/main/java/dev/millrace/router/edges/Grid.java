package dev.millrace.router.edges;

import dev.millrace.router.pools.Worker;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
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
  private volatile @Nullable Fastest fastest;

  /**
   * The edge over which blocks go the fastest. It is noted, for a thousand workers have a quarter
   * of a million edges, too many to be looked through for every exchange.
   */
  private record Fastest(Edge edge, double bytesPerSecond) {}

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
  }

  /** Bytes per second over the fastest edge; 0 if not known. */
  double fastest() {
    Fastest known = fastest;
    return known == null ? 0 : known.bytesPerSecond;
  }

  /** Something may have gone over an edge. */
  void used(Edge edge) {
    double now = edge.bandwidth().bytesPerSecond();
    Fastest known = fastest;
    boolean slower = known != null && known.edge == edge && now < known.bytesPerSecond;
    if (slower || now > fastest()) {
      noteFastest(edge);
    }
  }

  /** All are looked through only where the fastest has become slower. */
  private synchronized void noteFastest(Edge used) {
    Edge first = used;
    if (used.bandwidth().bytesPerSecond() < fastest()) {
      first =
          Collections.max(
              inOrder, Comparator.comparingDouble(edge -> edge.bandwidth().bytesPerSecond()));
    }
    fastest = new Fastest(first, first.bandwidth().bytesPerSecond());
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
