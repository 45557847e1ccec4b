package dev.millrace.router.edges;

import dev.millrace.config.Route;
import dev.millrace.router.pools.TransferReport;
import dev.millrace.router.pools.Worker;
import dev.millrace.router.pools.Workers;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * The edges of one route. Shared by all event loops: what a chooser needs of them is put together
 * anew when one changes, not when somebody chooses.
 */
public final class RouteEdges {
  private final Route route;
  private final Map<Worker, Map<Worker, Edge>> all = new HashMap<>();
  private final List<Edge> inOrder = new ArrayList<>();
  private volatile Usable usable = new Usable(List.of(), Map.of());

  /**
   * The edges that carry exchanges.
   *
   * @param prefill workers that have one, in the table's order
   * @param decode for each of them, the workers at the other end
   */
  public record Usable(List<Worker> prefill, Map<Worker, List<Worker>> decode) {}

  RouteEdges(Route route, Workers workers, EdgeState first, Edge.Listener listener) {
    this.route = route;
    for (Worker prefill : workers.prefilling(route)) {
      Map<Worker, Edge> row = new HashMap<>();
      for (Worker decode : workers.ofPool(route.decode().pool())) {
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
        inOrder.add(edge);
      }
      all.put(prefill, row);
    }
    sortOut();
  }

  /** A worker was taken out of use, or back in. */
  public void workersChanged() {
    sortOut();
  }

  private synchronized void sortOut() {
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
    usable = new Usable(List.copyOf(prefill), decode);
  }

  /** The route that they belong to. */
  public Route route() {
    return route;
  }

  /** Those that carry exchanges. */
  public Usable usable() {
    return usable;
  }

  /** All of them, in the table's order. */
  public List<Edge> edges() {
    return List.copyOf(inOrder);
  }

  /** The edge between two workers of the route's pools. */
  public Edge between(Worker prefill, Worker decode) {
    Map<Worker, Edge> row = all.get(prefill);
    Edge edge = row == null ? null : row.get(decode);
    return Objects.requireNonNull(edge, () -> prefill + " and " + decode + " are of no one route");
  }

  /** Takes what a decode worker's counters prove of an exchange that an edge carried. */
  public void transferred(Edge edge, TransferReport report, long nowNanos) {
    double fastest =
        inOrder.stream().mapToDouble(one -> one.bandwidth().bytesPerSecond()).max().orElse(0);
    edge.transferred(report, route.pairing().onRecompute(), fastest, nowNanos);
  }

  /** Whether the state of one is still being found out. */
  public boolean isPending() {
    return inOrder.stream().anyMatch(edge -> edge.state() instanceof EdgeState.Pending);
  }
}
