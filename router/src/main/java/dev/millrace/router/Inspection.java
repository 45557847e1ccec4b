package dev.millrace.router;

import dev.millrace.config.Pairing;
import dev.millrace.config.Route;
import dev.millrace.config.RoutingTable;
import dev.millrace.layout.compatibility.EngineProfile;
import dev.millrace.router.agents.Agents;
import dev.millrace.router.discover.Members;
import dev.millrace.router.edges.Judge;
import dev.millrace.router.edges.ProfileJudge;
import dev.millrace.router.handoff.Ledger;
import dev.millrace.router.pools.Worker;
import dev.millrace.router.pools.Workers;
import dev.millrace.router.probe.EngineCalls;
import dev.millrace.router.probe.Prober;
import dev.millrace.router.probe.Profiles;
import dev.millrace.router.probe.Sighting;
import dev.millrace.transfer.sidechannel.SideChannelClient;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpClient;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * What a router would find out about its workers, without one: what each of them is, and which can
 * work together. Nothing is tried out.
 *
 * @param workers in the table's order
 * @param pairs of all routes, in the table's order
 * @param emptyPools names of pools that nobody has named a worker of
 */
public record Inspection(List<Found> workers, List<Pair> pairs, List<String> emptyPools) {
  public Inspection {
    workers = List.copyOf(workers);
    pairs = List.copyOf(pairs);
    emptyPools = List.copyOf(emptyPools);
  }

  /**
   * A worker.
   *
   * @param profile what is known of it; nothing more than what is declared if it does not answer
   * @param trouble why it does not answer; empty if it does, or was not asked
   * @param gaps what it did not say
   */
  public record Found(
      Worker worker, EngineProfile profile, Optional<String> trouble, List<String> gaps) {}

  /**
   * Two workers of a route.
   *
   * @param ruling empty if one of them does not answer
   */
  public record Pair(Route route, Worker prefill, Worker decode, Optional<Judge.Ruling> ruling) {}

  /** By the table alone; nobody is contacted, no name server either. */
  public static Inspection declared(RoutingTable table) {
    Workers workers = new Workers(table);
    Map<Worker, Found> found = new LinkedHashMap<>();
    workers
        .all()
        .forEach(worker ->
            found.put(
                worker, new Found(worker, Profiles.declared(worker), Optional.empty(), List.of())));
    return judged(table, workers, found);
  }

  /** By asking for workers, and then each worker, all at once and for a few seconds at most. */
  public static Future<Inspection> probing(Vertx vertx, RoutingTable read, LongSupplier nanoClock) {
    Members members = new Members(vertx, () -> {});
    return members
        .ask(read)
        .compose(asked -> probingAll(vertx, members.with(read), nanoClock))
        .onComplete(done -> members.end());
  }

  private static Future<Inspection> probingAll(
      Vertx vertx, RoutingTable table, LongSupplier nanoClock) {
    return Future.all(Agents.watch(vertx, table.agents()), Credentials.read(vertx, table))
        .compose(read -> {
          Agents agents = read.resultAt(0);
          Credentials credentials = read.resultAt(1);
          HttpClient client = vertx.createHttpClient(Lane.clientOptions());
          EngineCalls calls = new EngineCalls(client);
          Workers workers = new Workers(table);
          workers.all().forEach(worker -> worker.show(credentials.to(worker)));
          Leftovers leftovers =
              new Leftovers(vertx, () -> workers, new Ledger(), agents, calls, nanoClock);
          SideChannelClient sideChannels = new SideChannelClient();
          Prober prober = new Prober(vertx, calls, sideChannels, leftovers::free);
          List<Future<Found>> asked = workers.all().map(worker -> found(prober, worker)).toList();
          return Future.all(asked)
              .compose(all ->
                  leftovers.settled().transform(freed -> Future.succeededFuture(all.<Found>list())))
              .map(all -> {
                Map<Worker, Found> found = new LinkedHashMap<>();
                all.forEach(one -> found.put(one.worker(), one));
                return judged(table, workers, found);
              })
              .onComplete(done ->
                  vertx.executeBlocking(() -> {
                    sideChannels.close();
                    return "closed";
                  }));
        });
  }

  private static Future<Found> found(Prober prober, Worker worker) {
    return prober
        .look(worker)
        .map(sighting -> seen(worker, sighting))
        .otherwise(failure ->
            new Found(
                worker,
                Profiles.declared(worker),
                Optional.of(String.valueOf(failure.getMessage())),
                List.of()));
  }

  private static Found seen(Worker worker, Sighting sighting) {
    return new Found(worker, Profiles.of(worker, sighting), Optional.empty(), sighting.gaps());
  }

  private static Inspection judged(RoutingTable table, Workers workers, Map<Worker, Found> found) {
    ProfileJudge judge = new ProfileJudge(!table.agents().isEmpty());
    List<Pair> pairs = new ArrayList<>();
    List<Route> routes =
        table.routes().stream().flatMap(route -> route.parts().values().stream()).toList();
    for (Route route : routes) {
      for (Worker prefill : workers.prefilling(route)) {
        for (Worker decode : workers.ofPool(route.decode().pool())) {
          pairs.add(
              new Pair(
                  route,
                  prefill,
                  decode,
                  ruling(judge, found.get(prefill), found.get(decode), route.pairing())));
        }
      }
    }
    return new Inspection(
        List.copyOf(found.values()),
        pairs,
        table.pools().keySet().stream().filter(pool -> workers.ofPool(pool).isEmpty()).toList());
  }

  private static Optional<Judge.Ruling> ruling(
      ProfileJudge judge, @Nullable Found prefill, @Nullable Found decode, Pairing pairing) {
    return prefill == null
            || decode == null
            || prefill.trouble().isPresent()
            || decode.trouble().isPresent()
        ? Optional.empty()
        : Optional.of(judge.judge(prefill.profile(), decode.profile(), pairing));
  }
}
