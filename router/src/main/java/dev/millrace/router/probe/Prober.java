package dev.millrace.router.probe;

import dev.millrace.config.HostPort;
import dev.millrace.config.Role;
import dev.millrace.router.handoff.Parameters;
import dev.millrace.router.handoff.Pinned;
import dev.millrace.router.http.MetricsText;
import dev.millrace.router.pools.KvRoom;
import dev.millrace.router.pools.Worker;
import dev.millrace.router.probe.EngineCalls.Answer;
import dev.millrace.router.probe.Sighting.CacheConfig;
import dev.millrace.router.probe.Sighting.Rank;
import dev.millrace.router.probe.Sighting.ServedModel;
import dev.millrace.router.probe.Sighting.Told;
import dev.millrace.transfer.sidechannel.AgentMetadata;
import dev.millrace.transfer.sidechannel.ConnectorVersion;
import dev.millrace.transfer.sidechannel.Handshake;
import dev.millrace.transfer.sidechannel.HandshakeCodec;
import dev.millrace.transfer.sidechannel.RankId;
import dev.millrace.transfer.sidechannel.SideChannelClient;
import io.vertx.core.Context;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.BiConsumer;

/** Finds out what a worker is. */
public final class Prober {
  private static final Duration ANSWER_WITHIN = Duration.ofSeconds(2);

  private static final String CACHE_CONFIG = "vllm:cache_config_info";

  private static final RankId FIRST_RANK = new RankId(0, 0);

  private final Context context;
  private final EngineCalls calls;
  private final SideChannelClient sideChannels;
  private final BiConsumer<Worker, Pinned> leftBehind;

  /**
   * A prober that works on the event loop from which it is made.
   *
   * @param leftBehind takes the blocks that a worker holds after the prompt of one token
   */
  public Prober(
      Vertx vertx,
      EngineCalls calls,
      SideChannelClient sideChannels,
      BiConsumer<Worker, Pinned> leftBehind) {
    this.context = vertx.getOrCreateContext();
    this.calls = calls;
    this.sideChannels = sideChannels;
    this.leftBehind = leftBehind;
  }

  /** Asks a worker everything. Fails if it does not answer HTTP; what else it lacks is a gap. */
  public Future<Sighting> look(Worker worker) {
    Draft draft = new Draft();
    return calls
        .get(worker, "/health", ANSWER_WITHIN)
        .compose(answer ->
            answer.status() == 200
                ? Future.succeededFuture(answer)
                : Future.failedFuture("/health answers status " + answer.status()))
        .compose(healthy ->
            worker.role() == Role.BOTH ? asServer(worker, draft) : asEngine(worker, draft))
        .map(done -> draft.sighting());
  }

  /** Of one that does everything by itself. */
  private Future<Draft> asServer(Worker worker, Draft draft) {
    return Future.join(version(worker, draft), models(worker, draft)).map(done -> draft);
  }

  /** What there is to learn of an engine that hands blocks over, or takes them. */
  private Future<Draft> asEngine(Worker worker, Draft draft) {
    return Future.join(
            version(worker, draft),
            models(worker, draft),
            metrics(worker, draft),
            prompt(worker, draft))
        .transform(asked -> allRanksListed(worker, draft))
        .compose(listed -> sideChannel(worker, draft))
        .map(done -> draft);
  }

  /**
   * Requests that name no rank go to any of them, so an address with more engines than listed would
   * look like one that is restarted all the time. vLLM has one cache configuration for each.
   */
  private static Future<Void> allRanksListed(Worker worker, Draft draft) {
    return draft.engines == 0 || draft.engines == worker.dataParallel()
        ? Future.succeededFuture()
        : Future.failedFuture(
            "its /metrics show %d data-parallel ranks, its pool lists %d; set data-parallel-size: %d"
                .formatted(draft.engines, worker.dataParallel(), draft.engines));
  }

  /**
   * What is asked of a worker all the time.
   *
   * @param startSeconds when its process began, which tells whether it is still the same
   * @param load how busy it is, if it says so
   */
  public record Pulse(Optional<Double> startSeconds, Optional<KvRoom.Look> load) {}

  /** Asks a worker how it is. */
  public Future<Pulse> pulse(Worker worker) {
    return calls
        .get(worker, "/metrics", ANSWER_WITHIN)
        .compose(answer ->
            answer.status() == 200
                ? Future.succeededFuture(answer)
                : Future.failedFuture("/metrics answers status " + answer.status()))
        .map(answer -> {
          MetricsText page = new MetricsText(answer.body().bytes(), answer.body().length());
          return new Pulse(
              page.sum("process_start_time_seconds"),
              worker.role() == Role.PREFILL ? Optional.empty() : load(worker.ownIn(page)));
        });
  }

  /**
   * Those that wait for something else, such as their blocks, are none the worker is too small for.
   */
  private static Optional<KvRoom.Look> load(MetricsText page) {
    int waiting =
        page.samples("vllm:num_requests_waiting_by_reason").stream()
            .filter(sample -> sample.label("reason").filter("capacity"::equals).isPresent())
            .mapToInt(sample -> (int) sample.value())
            .sum();
    return page.sum("vllm:kv_cache_usage_perc")
        .flatMap(used ->
            page.sum("vllm:num_requests_running")
                .map(running -> new KvRoom.Look(used, running.intValue(), waiting)));
  }

  private static final class Draft {
    Optional<String> version = Optional.empty();
    List<ServedModel> models = List.of();
    Optional<CacheConfig> cache = Optional.empty();
    Optional<Double> startSeconds = Optional.empty();
    int engines;
    Optional<Told> told = Optional.empty();
    Optional<Rank> handshake = Optional.empty();
    final List<String> gaps = new ArrayList<>();

    Sighting sighting() {
      return new Sighting(version, models, cache, startSeconds, told, handshake, gaps);
    }
  }

  private Future<?> version(Worker worker, Draft draft) {
    return ask(
        worker,
        "/version",
        draft,
        answer -> draft.version = Optional.ofNullable(answer.json().getString("version")));
  }

  private Future<?> models(Worker worker, Draft draft) {
    return ask(
        worker,
        "/v1/models",
        draft,
        answer -> {
          JsonArray data = answer.json().getJsonArray("data", new JsonArray());
          draft.models = data.stream().map(JsonObject.class::cast).map(Prober::model).toList();
        });
  }

  private static ServedModel model(JsonObject model) {
    return new ServedModel(
        model.getString("id", ""),
        Optional.ofNullable(model.getString("root")),
        Optional.ofNullable(model.getString("parent")),
        Optional.ofNullable(model.getInteger("max_model_len")),
        lasting(model));
  }

  /** Without what vLLM makes up for each answer (0.32.0, {@code ModelCard}). */
  private static JsonObject lasting(JsonObject model) {
    JsonObject lasting = model.copy();
    lasting.remove("created");
    lasting.remove("permission");
    return lasting;
  }

  private Future<?> metrics(Worker worker, Draft draft) {
    return ask(
        worker,
        "/metrics",
        draft,
        answer -> {
          MetricsText page = new MetricsText(answer.body().bytes(), answer.body().length());
          draft.startSeconds = page.sum("process_start_time_seconds");
          draft.engines = page.samples(CACHE_CONFIG).size();
          draft.cache =
              worker.ownIn(page).samples(CACHE_CONFIG).stream().findFirst().map(Prober::cache);
          if (draft.cache.isEmpty()) {
            draft.gaps.add("/metrics has no " + CACHE_CONFIG);
          }
        });
  }

  private static CacheConfig cache(MetricsText.Sample info) {
    return new CacheConfig(
        info.label("block_size").flatMap(Prober::integer),
        info.label("cache_dtype"),
        info.label("enable_prefix_caching").map("True"::equals),
        info.label("num_gpu_blocks").flatMap(Prober::integer));
  }

  private static Optional<Integer> integer(String text) {
    try {
      return Optional.of(Integer.parseInt(text));
    } catch (NumberFormatException e) {
      return Optional.empty();
    }
  }

  /**
   * Roles are not enforced by vLLM (0.32.0): a decode engine answers this like a prefill engine.
   */
  private Future<?> prompt(Worker worker, Draft draft) {
    return calls
        .post(worker, "/v1/completions", Prompts.prefill(worker.model(), List.of(1)), ANSWER_WITHIN)
        .onFailure(failure -> draft.gaps.add("a prompt of one token: " + failure.getMessage()))
        .onSuccess(answer -> {
          switch (Parameters.find(answer.body().bytes(), answer.body().length())) {
            case Parameters.Found.Blocks(Pinned pinned) -> {
              draft.told = Optional.of(Told.of(pinned));
              leftBehind.accept(worker, pinned);
            }
            case Parameters.Found.Unfit(String why) ->
                draft.gaps.add("its kv_transfer_params: " + why);
            case Parameters.Found.Nothing() ->
                draft.gaps.add(
                    "a prompt of one token was answered with status %d and no kv_transfer_params; is a KV connector configured?"
                        .formatted(answer.status()));
            case Parameters.Found.Garbage() ->
                draft.gaps.add(
                    "a prompt of one token was answered with status %d and no JSON"
                        .formatted(answer.status()));
          }
        });
  }

  private Future<?> ask(Worker worker, String path, Draft draft, Reader reader) {
    return calls
        .get(worker, path, ANSWER_WITHIN)
        .map(answer -> {
          if (answer.status() == 200) {
            reader.read(answer);
          } else {
            draft.gaps.add("%s answers status %d".formatted(path, answer.status()));
          }
          return answer;
        })
        .onFailure(failure -> draft.gaps.add("%s: %s".formatted(path, failure.getMessage())));
  }

  private interface Reader {
    void read(Answer answer);
  }

  // ---- the side channel: of a known version, at a listed address, rank (0, 0) ----

  private Future<?> sideChannel(Worker worker, Draft draft) {
    Optional<HostPort> where = address(worker, draft);
    Optional<ConnectorVersion> version = connectorVersion(worker, draft);
    if (where.isEmpty() || version.isEmpty()) {
      return Future.succeededFuture();
    }
    return Future.fromCompletionStage(
            sideChannels.ask(
                where.get().host(), where.get().port(), FIRST_RANK, version.get(), ANSWER_WITHIN),
            context)
        .map(handshake -> rank(handshake, version.get()))
        .onSuccess(rank -> draft.handshake = Optional.of(rank))
        .onFailure(failure -> draft.gaps.add(String.valueOf(failure.getMessage())))
        .otherwiseEmpty();
  }

  private static Rank rank(Handshake handshake, ConnectorVersion version) {
    AgentMetadata metadata = HandshakeCodec.decodeMetadata(handshake.metadata(), version);
    return new Rank(handshake.compatibilityHash(), metadata);
  }

  private static Optional<HostPort> address(Worker worker, Draft draft) {
    Optional<HostPort> listed = worker.sideChannel();
    if (listed.isPresent() || draft.told.isEmpty()) {
      if (listed.isEmpty()) {
        draft.gaps.add("no side channel is listed for it, and its answer names none");
      }
      return listed;
    }
    Told said = draft.told.get();
    if (!said.host().equals(worker.host())) {
      draft.gaps.add(
          "its answer names the side channel %s, which is not on the worker's host %s; list it as the worker's side-channel if it is right"
              .formatted(said.host() + ":" + said.port(), worker.host()));
      return Optional.empty();
    }
    return Optional.of(new HostPort(said.host(), said.port()));
  }

  private static Optional<ConnectorVersion> connectorVersion(Worker worker, Draft draft) {
    Optional<Integer> number = Profiles.connectorVersion(worker, draft.version);
    if (number.isEmpty()) {
      draft.gaps.add(
          "the connector version of vLLM %s is not known, so its side channel was not asked; declare connector-version"
              .formatted(draft.version.orElse("(unknown)")));
      return Optional.empty();
    }
    try {
      return Optional.of(ConnectorVersion.of(number.get()));
    } catch (IllegalArgumentException e) {
      draft.gaps.add(String.valueOf(e.getMessage()));
      return Optional.empty();
    }
  }
}
