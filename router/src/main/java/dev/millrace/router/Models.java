package dev.millrace.router;

import dev.millrace.config.Route;
import dev.millrace.router.edges.Watch;
import dev.millrace.router.match.RouteIndex;
import dev.millrace.router.match.ServedRoute;
import dev.millrace.router.pools.Worker;
import dev.millrace.router.pools.Workers;
import dev.millrace.router.probe.Sighting.ServedModel;
import io.vertx.core.MultiMap;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Predicate;
import java.util.stream.Stream;

/**
 * The models that can be asked for: those that routes match, and the adapters that all workers of a
 * route have loaded. What engines say of a model beside its name is passed on, with the shortest of
 * their lengths: a prompt has to fit on whichever worker gets it.
 *
 * <p>A pattern matches more names than can be listed; its route's pools may have one that can. An
 * alias has the engines' name as its root. Routes that ask for headers are there for those who send
 * them.
 */
final class Models {
  private static final String LENGTH = "max_model_len";

  private final Workers workers;
  private final Watch watch;
  private final RouteIndex routes;
  private volatile Adapters adapters = new Adapters(-1, Map.of());

  /**
   * The routes by adapters that their workers have loaded.
   *
   * @param learnt how much the watch had learnt by then
   */
  private record Adapters(int learnt, Map<String, List<ServedRoute>> routes) {}

  Models(Workers workers, Watch watch, RouteIndex routes) {
    this.workers = workers;
    this.watch = watch;
    this.routes = routes;
  }

  /** The routes whose workers have all loaded an adapter, in the order in which they are tried. */
  List<ServedRoute> withAdapter(String name) {
    int learnt = watch.learnt();
    Adapters known = adapters;
    if (known.learnt != learnt) {
      known = new Adapters(learnt, routesByAdapter());
      adapters = known;
    }
    return known.routes.getOrDefault(name, List.of());
  }

  private Map<String, List<ServedRoute>> routesByAdapter() {
    Map<String, List<ServedRoute>> byAdapter = new HashMap<>();
    for (ServedRoute each : routes.all()) {
      for (String adapter : adapters(each.route()).keySet()) {
        byAdapter.computeIfAbsent(adapter, first -> new ArrayList<>()).add(each);
      }
    }
    byAdapter.replaceAll((name, some) -> RouteIndex.mostConditionsFirst(some));
    return byAdapter;
  }

  /** The page under {@code /v1/models}, of those models that whoever sends headers may see. */
  JsonObject page(Predicate<String> seen, MultiMap headers) {
    Map<String, JsonObject> cards = new LinkedHashMap<>();
    List<ServedRoute> there =
        routes.all().stream().filter(each -> each.isSeenWith(headers)).toList();
    for (ServedRoute each : there) {
      listedAs(each.route())
          .ifPresent(name -> cards.computeIfAbsent(name, first -> card(name, each.route())));
    }
    there.forEach(each -> adapters(each.route()).forEach(cards::putIfAbsent));
    JsonArray data = new JsonArray();
    cards.forEach((model, card) -> {
      if (seen.test(model)) {
        data.add(card);
      }
    });
    return new JsonObject().put("object", "list").put("data", data);
  }

  /** Of the names that a pattern means, that of the pools is one, unless it stands for others. */
  private Optional<String> listedAs(Route route) {
    if (route.match().model().isExact()) {
      return Optional.of(route.model());
    }
    return Optional.of(workers.ofPool(route.decode().pool()).getFirst().model())
        .filter(route.match().model()::matches);
  }

  private JsonObject card(String model, Route route) {
    List<ServedModel> served =
        workers(route)
            .flatMap(worker -> served(worker).filter(one -> one.id().equals(worker.model())))
            .toList();
    JsonObject card = merged(model, served);
    // As vLLM says it of adapters: what stands behind the name.
    route
        .servedModelName()
        .filter(name -> !name.equals(model))
        .ifPresent(name -> card.put("root", name));
    return card;
  }

  private static JsonObject merged(String model, List<ServedModel> served) {
    JsonObject card =
        new JsonObject()
            .put("id", model)
            .put("object", "model")
            .put("created", 0)
            .put("owned_by", "millrace");
    if (!served.isEmpty()) {
      card.mergeIn(served.getFirst().card()).put("id", model);
    }
    OptionalInt shortest =
        served.stream()
            .flatMap(one -> one.maxModelTokens().stream())
            .mapToInt(Integer::intValue)
            .min();
    shortest.ifPresent(tokens -> card.put(LENGTH, tokens));
    return card;
  }

  /** Adapters of a route's model that every worker which has said something has loaded. */
  private Map<String, JsonObject> adapters(Route route) {
    List<List<ServedModel>> said =
        workers(route)
            .map(this::served)
            .map(Stream::toList)
            .filter(models -> !models.isEmpty())
            .toList();
    Map<String, JsonObject> adapters = new LinkedHashMap<>();
    if (said.isEmpty()) {
      return adapters;
    }
    for (ServedModel adapter : said.getFirst()) {
      List<ServedModel> everywhere =
          said.stream()
              .flatMap(models -> models.stream().filter(one -> isSame(one, adapter)))
              .toList();
      if (adapter.parent().isPresent() && everywhere.size() == said.size()) {
        adapters.put(adapter.id(), merged(adapter.id(), everywhere));
      }
    }
    return adapters;
  }

  private static boolean isSame(ServedModel one, ServedModel adapter) {
    return one.id().equals(adapter.id()) && one.parent().isPresent();
  }

  private Stream<Worker> workers(Route route) {
    return route.parts().values().stream()
        .flatMap(part ->
            Stream.concat(
                workers.ofPool(part.decode().pool()).stream(), workers.prefilling(part).stream()));
  }

  private Stream<ServedModel> served(Worker worker) {
    return watch.sighting(worker).stream().flatMap(sighting -> sighting.models().stream());
  }

  /** One of them, as {@code /v1/models/NAME} shows it; also one that is not listed. */
  Optional<JsonObject> card(String model, MultiMap headers) {
    return page(model::equals, headers).getJsonArray("data").stream()
        .map(JsonObject.class::cast)
        .findFirst()
        .or(() -> routes.like(model, headers).map(each -> card(model, each.route())));
  }
}
