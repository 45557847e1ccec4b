package dev.millrace.simulator.http;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.Misbehaviour;
import dev.millrace.simulator.core.Generator;
import dev.millrace.simulator.core.TransferParams;
import dev.millrace.simulator.http.CompletionRequest.Api;
import dev.millrace.simulator.http.CompletionRequest.Delivery;
import dev.millrace.simulator.http.CompletionRequest.Reading;
import io.vertx.core.Handler;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpServerResponse;
import java.io.IOException;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.function.Supplier;

/** The routes of a simulated engine. One per event loop. */
public final class FrontDoor implements Handler<HttpServerRequest> {
  /** Larger bodies are refused with 413. */
  private static final int MOST_BODY_BYTES = 16 << 20;

  private static final String RESPONSES = "/v1/responses/";
  private static final String CANCEL = "/cancel";

  private final EngineConfig config;
  private final Generator generator;
  private final Consumer<TransferParams.RemotePrefill> onRejected;
  private final Supplier<String> metrics;
  private final ResponseStore responses;
  private final Faults faults;
  private final String fingerprint;
  private final AtomicInteger openRequests;
  private final Set<Answer> answers = new HashSet<>();

  /**
   * A front door before a generator.
   *
   * @param engineId tells engines apart in fingerprints
   * @param onRejected hears of a refused request that named blocks of another engine
   * @param metrics the page under {@code /metrics}
   * @param responses that the engine keeps
   * @param misbehaviours what to do wrong, asked for every request
   * @param death ends the engine
   * @param openRequests counts requests that have not ended
   */
  public FrontDoor(
      EngineConfig config,
      String engineId,
      Generator generator,
      Consumer<TransferParams.RemotePrefill> onRejected,
      Supplier<String> metrics,
      ResponseStore responses,
      Supplier<List<Misbehaviour>> misbehaviours,
      Runnable death,
      AtomicInteger openRequests) {
    this.config = config;
    this.generator = generator;
    this.onRejected = onRejected;
    this.metrics = metrics;
    this.responses = responses;
    this.faults = new Faults(misbehaviours, death);
    this.fingerprint = "vllm-" + config.version() + "-" + engineId.substring(0, 8);
    this.openRequests = openRequests;
  }

  @Override
  public void handle(HttpServerRequest request) {
    String path = request.path();
    switch (path == null ? "" : path) {
      case "/v1/completions" -> completion(request, Api.COMPLETIONS);
      case "/v1/chat/completions" -> completion(request, Api.CHAT);
      case "/v1/responses" -> completion(request, Api.RESPONSES);
      case "/v1/messages" -> completion(request, Api.MESSAGES);
      case "/v1/models" -> json(request.response(), models());
      case "/version" -> json(request.response(), "{\"version\":\"" + config.version() + "\"}");
      case "/health", "/ping" -> request.response().end();
      case "/metrics" ->
          request
              .response()
              .putHeader("content-type", "text/plain; version=0.0.4; charset=utf-8")
              .end(metrics.get());
      default -> other(request, String.valueOf(path));
    }
  }

  private void other(HttpServerRequest request, String path) {
    if (path.startsWith(RESPONSES)) {
      kept(request, path.substring(RESPONSES.length()));
    } else {
      json(request.response().setStatusCode(404), "{\"detail\":\"Not Found\"}");
    }
  }

  /** Shows a response, or cancels it, which can be done to those in the background alone. */
  private void kept(HttpServerRequest request, String asked) {
    HttpServerResponse response = request.response();
    boolean cancels = asked.endsWith(CANCEL);
    if (!request.method().equals(cancels ? HttpMethod.POST : HttpMethod.GET)) {
      json(response.setStatusCode(405), "{\"detail\":\"Method Not Allowed\"}");
      return;
    }
    String id = cancels ? asked.substring(0, asked.length() - CANCEL.length()) : asked;
    Optional<ResponseStore.Kept> kept = responses.get(id);
    if (kept.isEmpty()) {
      answer(response, ErrorBody.noResponse(id));
    } else if (cancels) {
      answer(response, ErrorBody.notCancelled());
    } else {
      json(response, kept.get().body());
    }
  }

  /** Ends all answers: the engine ends. */
  public void leaveAll() {
    for (Answer answer : answers.toArray(Answer[]::new)) {
      answer.leave();
    }
  }

  static void answer(HttpServerResponse response, ErrorBody error) {
    answer(response, Api.COMPLETIONS, error);
  }

  static void answer(HttpServerResponse response, Api api, ErrorBody error) {
    response
        .setStatusCode(error.status())
        .putHeader("content-type", "application/json")
        .end(error.body(api));
  }

  private void completion(HttpServerRequest request, Api api) {
    HttpServerResponse response = request.response();
    if (!request.method().equals(HttpMethod.POST)) {
      json(response.setStatusCode(405), "{\"detail\":\"Method Not Allowed\"}");
      return;
    }
    openRequests.incrementAndGet();
    Settling settling = new Settling();
    response.exceptionHandler(error -> settling.run());
    response.closeHandler(closed -> settling.run());
    switch (faults.beforeHead()) {
      case GO_ON ->
          Bodies.collect(request, MOST_BODY_BYTES)
              .onSuccess(body -> received(request, api, body, settling))
              .onFailure(error -> {
                settling.run();
                if (error instanceof Bodies.TooLarge) {
                  answer(
                      response,
                      new ErrorBody(413, "BadRequestError", "The body is too large", null));
                }
              });
      case STALL -> request.resume();
      case RESET -> response.reset();
      case DIE -> faults.die();
    }
  }

  private void received(HttpServerRequest request, Api api, Buffer body, Settling settling) {
    HttpServerResponse response = request.response();
    if (response.closed()) {
      settling.run();
      return;
    }
    var refusal = faults.refusal();
    if (refusal.isPresent()) {
      settling.run();
      answer(response, api, refusal.get());
      return;
    }
    switch (RequestReader.read(config, api, responses, body.getBytes())) {
      case Reading.Refused refused -> {
        if (refused.params() instanceof TransferParams.RemotePrefill remote) {
          onRejected.accept(remote);
        }
        settling.run();
        answer(response, api, refused.error());
      }
      case Reading.Read read -> begin(request, read.request(), settling);
    }
  }

  private void begin(HttpServerRequest request, CompletionRequest asked, Settling settling) {
    HttpServerResponse response = request.response();
    String given = request.getHeader("X-Request-Id");
    String name = given != null && !given.isEmpty() ? given : hex(16);
    String id =
        switch (asked.api()) {
          case COMPLETIONS -> "cmpl-" + name;
          case CHAT, MESSAGES -> "chatcmpl-" + name;
          // Not named by the header (vLLM 0.32.0, ResponsesRequest.request_id).
          case RESPONSES -> "resp_" + hex(16);
        };
    String requestId = id + (asked.api() == Api.COMPLETIONS ? "-0-" : "-") + hex(8);
    Wording wording =
        Wording.of(
            new Wording.Head(
                id, config.clock().instant().getEpochSecond(), asked.model(), fingerprint, asked));
    Answer answer;
    if (asked.delivery() == Delivery.UNARY) {
      answer = new UnaryAnswer(generator, wording, requestId, response, faults, settling);
    } else {
      StreamAnswer stream =
          new StreamAnswer(generator, wording, requestId, response, faults, settling);
      stream.sendHead();
      answer = stream;
    }
    asked
        .conversation()
        .ifPresent(said ->
            answer.whenComplete((choices, usage, handOff) ->
                responses.keep(
                    id,
                    new ResponseStore.Kept(
                        wording.body(choices, usage, handOff),
                        "%s<|assistant|>\n%s\n".formatted(said, choices.getFirst().text())))));
    register(answer, settling);
  }

  private void register(Answer answer, Settling settling) {
    answers.add(answer);
    settling.answer(answer);
    answer.begin();
  }

  /** Takes a request from the count of open ones, once. */
  private final class Settling implements Runnable {
    private boolean settled;
    private Runnable forget = () -> {};

    void answer(Answer answer) {
      forget = () -> answers.remove(answer);
    }

    @Override
    public void run() {
      if (!settled) {
        settled = true;
        openRequests.decrementAndGet();
        forget.run();
      }
    }
  }

  private String models() {
    return Wording.object(json -> {
      json.writeStringField("object", "list");
      json.writeArrayFieldStart("data");
      writeModel(json, config.model(), Optional.empty());
      for (String adapter : config.adapters()) {
        writeModel(json, adapter, Optional.of(config.model()));
      }
      json.writeEndArray();
    });
  }

  /** A model, or an adapter, which has a parent and no length (vLLM 0.32.0, {@code ModelCard}). */
  private void writeModel(JsonGenerator json, String name, Optional<String> parent)
      throws IOException {
    json.writeStartObject();
    json.writeStringField("id", name);
    json.writeStringField("object", "model");
    json.writeNumberField("created", config.clock().instant().getEpochSecond());
    json.writeStringField("owned_by", "vllm");
    json.writeStringField("root", name);
    if (parent.isPresent()) {
      json.writeStringField("parent", parent.get());
      json.writeNullField("max_model_len");
    } else {
      json.writeNullField("parent");
      json.writeNumberField("max_model_len", config.maxModelLength());
    }
    writePermission(json);
    json.writeEndObject();
  }

  private void writePermission(JsonGenerator json) throws IOException {
    json.writeArrayFieldStart("permission");
    json.writeStartObject();
    json.writeStringField("id", "modelperm-" + config.model());
    json.writeStringField("object", "model_permission");
    json.writeNumberField("created", config.clock().instant().getEpochSecond());
    json.writeBooleanField("allow_create_engine", false);
    json.writeBooleanField("allow_sampling", true);
    json.writeBooleanField("allow_logprobs", false);
    json.writeBooleanField("allow_search_indices", false);
    json.writeBooleanField("allow_view", true);
    json.writeBooleanField("allow_fine_tuning", false);
    json.writeStringField("organization", "*");
    json.writeNullField("group");
    json.writeBooleanField("is_blocking", false);
    json.writeEndObject();
    json.writeEndArray();
  }

  private static void json(HttpServerResponse response, String body) {
    response.putHeader("content-type", "application/json").end(body);
  }

  private static String hex(int digits) {
    return UUID.randomUUID().toString().replace("-", "").substring(32 - digits);
  }
}
