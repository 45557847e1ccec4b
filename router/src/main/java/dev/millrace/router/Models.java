package dev.millrace.router;

import dev.millrace.config.Route;
import dev.millrace.router.choose.Chooser;
import dev.millrace.router.edges.Watch;
import dev.millrace.router.pools.Worker;
import dev.millrace.router.pools.Workers;
import dev.millrace.router.probe.Sighting.ServedModel;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The models that can be asked for: those that routes match, and the adapters that all workers of a
 * route have loaded. What engines say of a model beside its name is passed on, with the shortest of
 * their lengths: a prompt has to fit on whichever worker gets it.
 */
final class Models {
  private static final String LENGTH = "max_model_len";

  private final Workers workers;
  private final Watch watch;
  private final Map<String, Chooser> byModel;

  Models(Workers workers, Watch watch, Map<String, Chooser> byModel) {
    this.workers = workers;
    this.watch = watch;
    this.byModel = byModel;
  }

  /** Who chooses the workers for a model, or null if nobody has it. */
  @Nullable Chooser chooser(String model) {
    Chooser listed = byModel.get(model);
    return listed != null ? listed : ofAdapter(model);
  }

  /** Who chooses the workers, one for each route. */
  Collection<Chooser> choosers() {
    return byModel.values();
  }

  /** Who chooses the workers where there is no choice of a model. */
  @Nullable Chooser onlyChooser() {
    return byModel.size() == 1 ? byModel.values().iterator().next() : null;
  }

  private @Nullable Chooser ofAdapter(String model) {
    for (Chooser chooser : byModel.values()) {
      if (adapters(chooser.route()).containsKey(model)) {
        return chooser;
      }
    }
    return null;
  }

  /** The page under {@code /v1/models}, of those models that may be seen. */
  JsonObject page(Predicate<String> seen) {
    Map<String, JsonObject> cards = new LinkedHashMap<>();
    byModel.forEach((model, chooser) -> cards.put(model, card(model, chooser.route())));
    for (Chooser chooser : byModel.values()) {
      adapters(chooser.route()).forEach(cards::putIfAbsent);
    }
    JsonArray data = new JsonArray();
    cards.forEach((model, card) -> {
      if (seen.test(model)) {
        data.add(card);
      }
    });
    return new JsonObject().put("object", "list").put("data", data);
  }

  private JsonObject card(String model, Route route) {
    List<ServedModel> served =
        workers(route)
            .flatMap(worker -> served(worker).filter(one -> one.id().equals(worker.model())))
            .toList();
    return merged(model, served);
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
    return Stream.concat(
        workers.ofPool(route.decode().pool()).stream(), workers.prefilling(route).stream());
  }

  private Stream<ServedModel> served(Worker worker) {
    return watch.sighting(worker).stream().flatMap(sighting -> sighting.models().stream());
  }

  /** One of them, as {@code /v1/models/NAME} shows it. */
  Optional<JsonObject> card(String model) {
    return page(every -> true).getJsonArray("data").stream()
        .map(JsonObject.class::cast)
        .filter(card -> model.equals(card.getString("id")))
        .findFirst();
  }
}
