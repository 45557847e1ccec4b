package dev.millrace.router.edges;

import dev.millrace.config.Route;
import dev.millrace.router.pools.TransferReport;
import dev.millrace.router.pools.Worker;
import java.util.List;
import java.util.Map;

/**
 * The edges of one route. Shared by all event loops, and with routes that pair the same pools by
 * the same rules: what is learnt of a pair on one of them is known on all.
 */
public final class RouteEdges {
  private final Route route;
  private final Grid grid;

  /**
   * The edges that carry exchanges.
   *
   * @param prefill workers that have one, in the table's order
   * @param decode for each of them, the workers at the other end
   */
  public record Usable(List<Worker> prefill, Map<Worker, List<Worker>> decode) {}

  RouteEdges(Route route, Grid grid) {
    this.route = route;
    this.grid = grid;
  }

  /** A worker was taken out of use, or back in. */
  public void workersChanged() {
    grid.sortOut();
  }

  /** The route that they belong to. */
  public Route route() {
    return route;
  }

  /** Those that carry exchanges. */
  public Usable usable() {
    return grid.usable();
  }

  /** All of them, in the table's order. */
  public List<Edge> edges() {
    return grid.edges();
  }

  /** The edge between two workers of the route's pools. */
  public Edge between(Worker prefill, Worker decode) {
    return grid.between(prefill, decode);
  }

  /** Takes what a decode worker's counters prove of an exchange that an edge carried. */
  public void transferred(Edge edge, TransferReport report, long nowNanos) {
    edge.transferred(report, route.pairing().onRecompute(), grid.fastest(), nowNanos);
    grid.used(edge);
  }

  /** Whether the state of one is still being found out. */
  public boolean isPending() {
    return grid.edges().stream().anyMatch(edge -> edge.state() instanceof EdgeState.Pending);
  }
}
