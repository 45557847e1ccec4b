package dev.millrace.router;

import dev.millrace.router.access.Caller;
import dev.millrace.router.choose.Keepers.Keeper;
import dev.millrace.router.choose.Traits;
import dev.millrace.router.http.Api;
import dev.millrace.router.http.Classified;
import dev.millrace.router.http.ClientRequest;
import dev.millrace.router.http.KeptResponse;
import dev.millrace.router.http.Problem;
import dev.millrace.router.match.ServedBranch;
import dev.millrace.router.match.ServedRoute;
import io.vertx.core.MultiMap;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Finds who serves a request: the route that takes it, the branch of it, and the name by which
 * their engines are asked for its model.
 */
final class Understanding {
  /** Longer names are not repeated whole. */
  private static final int MOST_SHOWN = 100;

  private final House house;
  private final Floor floor;
  private final Caller caller;
  private final Asked asked;

  /** What came of it. */
  sealed interface Understood {
    /** Nobody serves it. */
    record Refused(Problem problem) implements Understood {}

    /**
     * Somebody does.
     *
     * @param client what is asked, with the model by the client's name
     * @param enginesName by which the branch's engines are asked for the model
     */
    record Served(
        ClientRequest client,
        Traits traits,
        ServedRoute target,
        ServedBranch branch,
        String enginesName)
        implements Understood {}
  }

  /** Where and how a request came. */
  record Asked(Api api, MultiMap headers, String requestId) {}

  private Understanding(House house, Caller caller, Asked asked) {
    this.house = house;
    this.floor = house.floor();
    this.caller = caller;
    this.asked = asked;
  }

  /** By the table that is in force now. */
  static Understood of(House house, Caller caller, Asked asked, Classified classified) {
    Understanding understanding = new Understanding(house, caller, asked);
    return switch (classified) {
      case Classified.Refused(Problem problem) -> new Understood.Refused(problem);
      case ClientRequest client -> understanding.of(client);
      case KeptResponse wanted -> understanding.of(wanted);
    };
  }

  private Understood of(ClientRequest client) {
    ServedRoute found = floor.route(client.model(), asked.api(), asked.headers());
    if (found == null || !caller.mayUse(client.model())) {
      return new Understood.Refused(unknown(client.model()));
    }
    Optional<String> previous = client.previousResponse();
    Optional<Keeper> keeper = previous.flatMap(house.keepers::of);
    if (keeper.isPresent() && !mayAsk(keeper.get())) {
      return new Understood.Refused(notKept(previous.get()));
    }
    return served(client, found, keeper.orElse(null));
  }

  private Understood served(ClientRequest client, ServedRoute target, @Nullable Keeper keeper) {
    Traits traits = new Traits(client, asked.headers(), keeper == null ? null : keeper.worker());
    ServedBranch keeping = keeper == null ? null : target.decodingOn(keeper.worker());
    ServedBranch branch = keeping == null ? target.branchOf(traits, asked.requestId()) : keeping;
    return served(client, traits, target, branch);
  }

  private Understood served(
      ClientRequest client, Traits traits, ServedRoute target, ServedBranch branch) {
    return new Understood.Served(
        client, traits, target, branch, floor.askedAs(target, branch, client.model()));
  }

  /** Of a response that a worker keeps, if that is one of its route's yet. */
  private Understood of(KeptResponse wanted) {
    Keeper keeper = house.keepers.of(wanted.id()).filter(this::mayAsk).orElse(null);
    ServedRoute target = keeper == null ? null : floor.routes().called(keeper.route());
    ServedBranch branch =
        keeper == null || target == null ? null : target.decodingOn(keeper.worker());
    if (keeper == null || target == null || branch == null) {
      return new Understood.Refused(notKept(wanted.id()));
    }
    ClientRequest client = ClientRequest.ofKept(wanted, keeper.model());
    return served(client, new Traits(client, asked.headers(), keeper.worker()), target, branch);
  }

  private boolean mayAsk(Keeper keeper) {
    return keeper.caller().equals(caller.name()) && caller.mayUse(keeper.model());
  }

  private static Problem notKept(String response) {
    return Problem.ofClient(
        404,
        "response_not_found",
        "No response \""
            + shortened(response)
            + "\" of yours is kept here. Responses are known for an hour after they were asked for"
            + " last, and as long as their worker is there");
  }

  static Problem unknown(String model) {
    if (model.isEmpty()) {
      return Problem.badRequest(
          "model_missing", "The request names no \"model\"; GET /v1/models lists them");
    }
    return Problem.ofClient(
        404,
        "model_not_found",
        "There is no model \""
            + shortened(model)
            + "\" here, or not at this path with these headers; GET /v1/models with the same"
            + " headers lists those there are");
  }

  static String shortened(String text) {
    return text.length() <= MOST_SHOWN ? text : text.substring(0, MOST_SHOWN) + "…";
  }
}
