package dev.millrace.transfer.rpc;

import com.google.protobuf.Descriptors;
import com.google.protobuf.Message;
import dev.millrace.transfer.agent.AgentRefusal;
import dev.millrace.transfer.agent.KvAgent;
import dev.millrace.transfer.agent.KvAgent.ReadCall;
import dev.millrace.transfer.agent.ReadEvent;
import dev.millrace.transfer.rpc.v1.BridgeReply;
import dev.millrace.transfer.rpc.v1.BridgeRequest;
import dev.millrace.transfer.rpc.v1.ExtendReply;
import dev.millrace.transfer.rpc.v1.KvTransferProto;
import dev.millrace.transfer.rpc.v1.MeasureReply;
import dev.millrace.transfer.rpc.v1.MeasureRequest;
import dev.millrace.transfer.rpc.v1.ReleaseReply;
import io.vertx.core.Context;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.grpc.common.GrpcStatus;
import io.vertx.grpc.health.HealthService;
import io.vertx.grpc.reflection.ReflectionService;
import io.vertx.grpc.server.GrpcProtocol;
import io.vertx.grpc.server.GrpcServer;
import io.vertx.grpc.server.GrpcServerOptions;
import io.vertx.grpc.server.GrpcServerRequest;
import io.vertx.grpc.server.GrpcServerResponse;
import io.vertx.grpc.server.Service;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.function.Function;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Serves an agent. Beside {@code KvTransfer} there are the standard health service, which anybody
 * may ask, and the standard reflection service.
 */
public final class AgentServer {
  private static final Logger LOG = LoggerFactory.getLogger(AgentServer.class);

  /** Room for the block ids of a million tokens, many times over. */
  private static final long MOST_MESSAGE_BYTES = 4L << 20;

  /** What a read leaves of its caller's time, so that its failure still gets there. */
  private static final Duration ANSWERING = Duration.ofMillis(250);

  /**
   * Cancelled calls, of a connection, within {@link #CANCELLED_WITHIN}: a busy router has many
   * clients that leave. From so many on it is an attack, and the connection is cut.
   */
  private static final int MOST_CANCELLED = 10_000;

  private static final Duration CANCELLED_WITHIN = Duration.ofSeconds(1);

  private static final String HEALTH_PATH = "/grpc.health.v1.Health/";

  private final Vertx vertx;
  private final KvAgent agent;
  private final AgentServerOptions options;
  private final GrpcServer calls;
  private final HttpServer server;

  private AgentServer(Vertx vertx, KvAgent agent, AgentServerOptions options) {
    this.vertx = vertx;
    this.agent = agent;
    this.options = options;
    this.calls = GrpcServer.server(vertx, grpc());
    this.server =
        vertx
            .createHttpServer(
                new HttpServerOptions()
                    .setHost(options.host())
                    .setPort(options.port())
                    .setHttp2RstFloodMaxRstFramePerWindow(MOST_CANCELLED)
                    .setHttp2RstFloodWindowDuration((int) CANCELLED_WITHIN.toSeconds())
                    .setHttp2RstFloodWindowDurationTimeUnit(TimeUnit.SECONDS))
            .requestHandler(this::admit);
    HealthService health = HealthService.create(vertx);
    health.register("", () -> Future.succeededFuture(true));
    health.register(Methods.SERVICE, () -> Future.succeededFuture(true));
    calls.addService(new KvTransferService()).addService(health).addService(ReflectionService.v1());
  }

  /** Starts to listen. The caller closes the agent after the server. */
  public static Future<AgentServer> start(Vertx vertx, KvAgent agent, AgentServerOptions options) {
    AgentServer server = new AgentServer(vertx, agent, options);
    return server.server.listen().map(listening -> server);
  }

  /** The port that it listens on. */
  public int port() {
    return server.actualPort();
  }

  /** Stops listening and cuts calls. */
  public Future<Void> close() {
    return server.close();
  }

  private static GrpcServerOptions grpc() {
    GrpcServerOptions grpc =
        new GrpcServerOptions()
            .setMaxMessageSize(MOST_MESSAGE_BYTES)
            .setScheduleDeadlineAutomatically(true);
    for (GrpcProtocol protocol : GrpcProtocol.values()) {
      if (protocol != GrpcProtocol.HTTP_2) {
        grpc.removeEnabledProtocol(protocol);
      }
    }
    return grpc;
  }

  /** Looks at the token before anything else of a call is read. */
  private void admit(HttpServerRequest request) {
    boolean open = request.path() != null && request.path().startsWith(HEALTH_PATH);
    if (open || options.token().isIn(request.getHeader("authorization"))) {
      calls.handle(request);
      return;
    }
    LOG.info("a call of {} from {} has no valid token", request.path(), request.remoteAddress());
    request
        .response()
        .putHeader("content-type", "application/grpc")
        .putHeader("grpc-status", String.valueOf(GrpcStatus.UNAUTHENTICATED.code))
        .putHeader("grpc-message", "the authorization header has no valid token")
        .end()
        .onFailure(gone -> LOG.debug("a refused caller has left", gone));
  }

  private final class KvTransferService implements Service {
    @Override
    public io.vertx.grpc.common.ServiceName name() {
      return Methods.SERVICE;
    }

    @Override
    public Descriptors.ServiceDescriptor descriptor() {
      return KvTransferProto.getDescriptor().findServiceByName("KvTransfer");
    }

    @Override
    public void bind(GrpcServer server) {
      unary(
          server,
          Methods.DESCRIBE,
          request -> Future.succeededFuture(Wording.describe(agent, options.version())));
      unary(
          server,
          Methods.EXTEND,
          request ->
              Future.fromCompletionStage(
                      agent.extend(
                          Wording.handOff(request.getHandOff()),
                          Wording.holders(request.getHolder())))
                  .map(extended ->
                      ExtendReply.newBuilder()
                          .setRanks(extended.ranks())
                          .setCopies(extended.copies())
                          .build()));
      unary(
          server,
          Methods.RELEASE,
          request ->
              Future.fromCompletionStage(
                      agent.release(
                          Wording.handOff(request.getHandOff()),
                          Wording.holders(request.getHolder()),
                          Wording.named(request.getCopyId())))
                  .map(released ->
                      ReleaseReply.newBuilder()
                          .setRanks(released.ranks())
                          .setCopies(released.copies())
                          .setFreedBytes(released.freedBytes())
                          .build()));
      unary(server, Methods.MEASURE, AgentServer.this::measure);
      unary(server, Methods.BRIDGE, AgentServer.this::bridge);
      Duration longest = agent.options().longestRead();
      server.callHandler(
          Methods.READ.served(),
          call ->
              follow(
                  call,
                  (request, events) ->
                      agent.read(Wording.order(request, left(call), longest), events),
                  Wording::reply));
      server.callHandler(
          Methods.RELAY.served(),
          call ->
              follow(
                  call,
                  (request, events) ->
                      agent.relay(Wording.order(request, left(call), longest), events),
                  Wording::relayReply));
    }
  }

  private Future<MeasureReply> measure(MeasureRequest request) {
    long probeBytes = request.getProbeBytes() == 0 ? 16L << 20 : request.getProbeBytes();
    int rounds = request.getRounds() == 0 ? 5 : request.getRounds();
    return Future.fromCompletionStage(
            agent.measure(Wording.engine(request.getEngine()), probeBytes, rounds))
        .map(edge ->
            MeasureReply.newBuilder()
                .setTransport(agent.transport())
                .setProbeBytes(edge.probeBytes())
                .setLatencyMicros(Wording.micros(edge.latency()))
                .setBytesPerSecond(edge.bytesPerSecond())
                .build());
  }

  private Future<BridgeReply> bridge(BridgeRequest request) {
    return Future.fromCompletionStage(
            agent.bridge(
                Wording.handOff(request.getHandOff()),
                Wording.reader(request.getReader()),
                Wording.deadline(
                    request.getDeadlineMillis(), Optional.empty(), agent.options().longestRead())))
        .map(Wording::bridgeReply);
  }

  private <Q extends Message, A extends Message> void unary(
      GrpcServer server, Methods<Q, A> method, Function<Q, Future<A>> answer) {
    server.callHandler(
        method.served(),
        call -> {
          Context context = vertx.getOrCreateContext();
          GrpcServerResponse<Q, A> response = call.response();
          call.handler(request ->
              attempt(answer, request)
                  .onComplete(answered ->
                      context.runOnContext(ignored -> {
                        if (answered.succeeded()) {
                          end(response, answered.result());
                        } else {
                          refuse(response, answered.cause());
                        }
                      })));
        });
  }

  private static <Q, A> Future<A> attempt(Function<Q, Future<A>> answer, Q request) {
    try {
      return answer.apply(request);
    } catch (RuntimeException e) {
      return Future.failedFuture(e);
    }
  }

  /** Begins something that tells how it goes on. */
  private interface Beginning<Q> {
    ReadCall begin(Q request, Consumer<ReadEvent> events);
  }

  private <Q, A> void follow(
      GrpcServerRequest<Q, A> call, Beginning<Q> beginning, Function<ReadEvent, A> words) {
    Context context = vertx.getOrCreateContext();
    GrpcServerResponse<Q, A> response = call.response();
    AtomicReference<ReadCall> begun = new AtomicReference<>(() -> {});
    call.errorHandler(error -> begun.get().cancel());
    call.exceptionHandler(gone -> begun.get().cancel());
    response.exceptionHandler(gone -> begun.get().cancel());
    call.handler(request -> {
      try {
        begun.set(
            beginning.begin(
                request,
                event ->
                    context.runOnContext(
                        ignored -> say(response, words.apply(event), event, begun.get()))));
      } catch (RuntimeException e) {
        refuse(response, e);
      }
    });
  }

  private static Optional<Duration> left(GrpcServerRequest<?, ?> call) {
    long millis = call.timeout();
    if (millis <= 0) {
      return Optional.empty();
    }
    Duration left = Duration.ofMillis(millis);
    Duration answering = ANSWERING.compareTo(left.dividedBy(4)) < 0 ? ANSWERING : left.dividedBy(4);
    return Optional.of(left.minus(answering));
  }

  private static <A> void say(
      GrpcServerResponse<?, A> response, A reply, ReadEvent event, ReadCall reading) {
    boolean last = event instanceof ReadEvent.Done || event instanceof ReadEvent.Failed;
    try {
      Future<Void> sent = last ? response.end(reply) : response.write(reply);
      sent.onFailure(gone -> reading.cancel());
    } catch (IllegalStateException | NullPointerException e) {
      // The caller has cancelled, and the stream is over; Vert.x 5.0.10 meets that in two ways.
      reading.cancel();
    }
  }

  private static <A> void end(GrpcServerResponse<?, A> response, A answer) {
    try {
      response.end(answer).onFailure(gone -> LOG.debug("a caller has left", gone));
    } catch (IllegalStateException e) {
      LOG.debug("a caller has left", e);
    }
  }

  private static void refuse(GrpcServerResponse<?, ?> response, Throwable failure) {
    Throwable cause = failure;
    while (cause instanceof CompletionException && cause.getCause() != null) {
      cause = cause.getCause();
    }
    GrpcStatus status = GrpcStatus.INTERNAL;
    String message = "this is a fault of the agent: " + cause;
    if (cause instanceof AgentRefusal refusal) {
      status = Wording.status(refusal.reason());
      message = refusal.text();
    } else {
      LOG.error("a call failed", cause);
    }
    try {
      response
          .status(status)
          .statusMessage(message)
          .end()
          .onFailure(gone -> LOG.debug("a caller has left", gone));
    } catch (IllegalStateException e) {
      LOG.debug("a caller has left", e);
    }
  }
}
