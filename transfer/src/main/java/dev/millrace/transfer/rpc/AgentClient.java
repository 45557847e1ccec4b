package dev.millrace.transfer.rpc;

import com.google.protobuf.Message;
import dev.millrace.transfer.rpc.v1.BridgeReply;
import dev.millrace.transfer.rpc.v1.BridgeRequest;
import dev.millrace.transfer.rpc.v1.DescribeReply;
import dev.millrace.transfer.rpc.v1.DescribeRequest;
import dev.millrace.transfer.rpc.v1.ExtendReply;
import dev.millrace.transfer.rpc.v1.ExtendRequest;
import dev.millrace.transfer.rpc.v1.MeasureReply;
import dev.millrace.transfer.rpc.v1.MeasureRequest;
import dev.millrace.transfer.rpc.v1.ReadReply;
import dev.millrace.transfer.rpc.v1.ReadRequest;
import dev.millrace.transfer.rpc.v1.RelayReply;
import dev.millrace.transfer.rpc.v1.RelayRequest;
import dev.millrace.transfer.rpc.v1.ReleaseReply;
import dev.millrace.transfer.rpc.v1.ReleaseRequest;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpClientOptions;
import io.vertx.core.http.HttpVersion;
import io.vertx.core.net.SocketAddress;
import io.vertx.grpc.client.GrpcClient;
import io.vertx.grpc.client.GrpcClientOptions;
import io.vertx.grpc.client.GrpcClientRequest;
import io.vertx.grpc.client.GrpcClientResponse;
import io.vertx.grpc.common.GrpcError;
import io.vertx.grpc.common.GrpcStatus;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Calls an agent. Every call has a deadline; futures fail with {@link AgentCallFailed} and complete
 * on the caller's event loop.
 */
public final class AgentClient {
  private static final Duration CONNECT = Duration.ofSeconds(2);

  /** How much later than the agent itself the client gives a read up. */
  private static final Duration GRACE = Duration.ofSeconds(1);

  private final GrpcClient client;
  private final SocketAddress address;
  private final Token token;

  /** A client of the agent at this address, which need not run yet. */
  public AgentClient(Vertx vertx, String host, int port, Token token) {
    this.address = SocketAddress.inetSocketAddress(port, host);
    this.token = token;
    this.client =
        GrpcClient.client(
            vertx,
            new GrpcClientOptions().setScheduleDeadlineAutomatically(true),
            new HttpClientOptions()
                .setProtocolVersion(HttpVersion.HTTP_2)
                .setHttp2ClearTextUpgrade(false)
                .setConnectTimeout((int) CONNECT.toMillis()));
  }

  /** What the agent is and holds. */
  public Future<DescribeReply> describe(Duration deadline) {
    return unary(Methods.DESCRIBE, DescribeRequest.getDefaultInstance(), deadline);
  }

  /** Keeps a hand-off for longer. */
  public Future<ExtendReply> extend(ExtendRequest request, Duration deadline) {
    return unary(Methods.EXTEND, request, deadline);
  }

  /** Ends a hand-off. */
  public Future<ReleaseReply> release(ReleaseRequest request, Duration deadline) {
    return unary(Methods.RELEASE, request, deadline);
  }

  /** Measures an edge. */
  public Future<MeasureReply> measure(MeasureRequest request, Duration deadline) {
    return unary(Methods.MEASURE, request, deadline);
  }

  /**
   * Lets a decode engine read a hand-off from the prefill engine itself.
   *
   * @param deadline for the whole call; the agent ends by itself a little earlier, and says why
   */
  public Future<BridgeReply> bridge(BridgeRequest request, Duration deadline) {
    BridgeRequest timed = request.toBuilder().setDeadlineMillis(millis(deadline)).build();
    return unary(Methods.BRIDGE, timed, deadline.plus(GRACE));
  }

  /**
   * A call under way that tells how it goes on.
   *
   * @param <A> its messages
   */
  public static final class Transfer<A> {
    private final Promise<A> over = Promise.promise();
    private final AtomicReference<@Nullable GrpcClientRequest<?, ?>> call = new AtomicReference<>();
    private volatile boolean cancelled;

    private Transfer() {}

    /** The last message, which says done or failed; fails if there was none. */
    public Future<A> outcome() {
      return over.future();
    }

    /** Gives it up. The agent frees what it can; its last message does not get here. */
    public void cancel() {
      cancelled = true;
      over.tryFail(new AgentCallFailed(GrpcStatus.CANCELLED, "the call was given up"));
      GrpcClientRequest<?, ?> present = call.get();
      if (present != null) {
        present.cancel();
      }
    }
  }

  /**
   * Reads the blocks of a hand-off into the agent's memory.
   *
   * @param progress takes every message but the last
   * @param deadline for the whole read; the agent ends by itself then, and says what had arrived
   */
  public Transfer<ReadReply> read(
      ReadRequest request, Consumer<ReadReply> progress, Duration deadline) {
    return transfer(
        Methods.READ,
        request.toBuilder().setDeadlineMillis(millis(deadline)).build(),
        reply -> reply.hasDone() || reply.hasFailed(),
        progress,
        deadline);
  }

  /**
   * Carries the blocks of a hand-off over to where a decode engine can read them.
   *
   * @param progress takes every message but the last
   * @param deadline for the whole relay; the agent ends by itself then, and says what had arrived
   */
  public Transfer<RelayReply> relay(
      RelayRequest request, Consumer<RelayReply> progress, Duration deadline) {
    return transfer(
        Methods.RELAY,
        request.toBuilder().setDeadlineMillis(millis(deadline)).build(),
        reply -> reply.hasDone() || reply.hasFailed(),
        progress,
        deadline);
  }

  private static int millis(Duration deadline) {
    return Math.clamp(deadline.toMillis(), 1, Integer.MAX_VALUE);
  }

  private <Q extends Message, A extends Message> Transfer<A> transfer(
      Methods<Q, A> method,
      Q request,
      Predicate<A> isLast,
      Consumer<A> progress,
      Duration deadline) {
    Transfer<A> transfer = new Transfer<>();
    start(method, deadline.plus(GRACE))
        .onFailure(failure -> transfer.over.tryFail(explained(failure)))
        .onSuccess(call -> {
          transfer.call.set(call);
          if (transfer.cancelled) {
            abandon(call);
            return;
          }
          call.send(request)
              .onFailure(failure -> transfer.over.tryFail(explained(failure)))
              .onSuccess(response -> follow(response, transfer, isLast, progress));
        });
    return transfer;
  }

  private static <Q, A> void follow(
      GrpcClientResponse<Q, A> response,
      Transfer<A> transfer,
      Predicate<A> isLast,
      Consumer<A> progress) {
    response.handler(reply -> {
      if (isLast.test(reply)) {
        transfer.over.tryComplete(reply);
      } else if (!transfer.cancelled) {
        progress.accept(reply);
      }
    });
    onEnd(response, transfer.over);
  }

  private <Q extends Message, A extends Message> Future<A> unary(
      Methods<Q, A> method, Q request, Duration deadline) {
    return start(method, deadline)
        .compose(call -> call.send(request))
        .compose(response -> {
          Promise<A> answer = Promise.promise();
          AtomicReference<@Nullable A> got = new AtomicReference<>();
          response.handler(got::set);
          response.endHandler(ended -> {
            A message = got.get();
            if (message == null || response.status() != GrpcStatus.OK) {
              answer.tryFail(refusal(response));
            } else {
              answer.tryComplete(message);
            }
          });
          response.errorHandler(error -> answer.tryFail(reset(error)));
          response.exceptionHandler(failure -> answer.tryFail(explained(failure)));
          return answer.future();
        })
        .recover(failure -> Future.failedFuture(explained(failure)));
  }

  /**
   * The deadline holds for the connection, too: a stopped agent's host takes it and says nothing.
   */
  private <Q extends Message, A extends Message> Future<GrpcClientRequest<Q, A>> start(
      Methods<Q, A> method, Duration deadline) {
    long millis = Math.max(1, deadline.toMillis());
    Future<GrpcClientRequest<Q, A>> begun =
        client
            .request(address, method.called())
            .map(call -> {
              call.headers().set("authorization", token.header());
              call.timeout(millis, TimeUnit.MILLISECONDS);
              return call;
            });
    Future<GrpcClientRequest<Q, A>> inTime = begun.timeout(millis, TimeUnit.MILLISECONDS);
    begun.onSuccess(late -> {
      if (inTime.failed()) {
        abandon(late);
      }
    });
    return inTime;
  }

  /**
   * Gives a call up of which nothing was sent. It has a place on its connection, which Vert.x
   * (5.0.10) gives to another call when its stream closes; so the stream has to be opened first.
   */
  private static void abandon(GrpcClientRequest<?, ?> call) {
    Future<Void> _ = call.end();
    call.cancel();
  }

  private static void onEnd(GrpcClientResponse<?, ?> response, Promise<?> over) {
    response.endHandler(ended -> over.tryFail(refusal(response)));
    response.errorHandler(error -> over.tryFail(reset(error)));
    response.exceptionHandler(failure -> over.tryFail(explained(failure)));
  }

  private static AgentCallFailed refusal(GrpcClientResponse<?, ?> response) {
    GrpcStatus status = response.status();
    String message = response.statusMessage();
    return status == null || status == GrpcStatus.OK
        ? AgentCallFailed.unanswered("the agent ended the call without an answer")
        : new AgentCallFailed(status, message == null ? status.toString() : message);
  }

  /** The stream was closed before the agent had said how the call ends. */
  private static AgentCallFailed reset(GrpcError error) {
    return error.status == GrpcStatus.UNAVAILABLE
        ? AgentCallFailed.unanswered("the agent broke the call off: " + error)
        : new AgentCallFailed(error.status, error.name());
  }

  private static AgentCallFailed explained(Throwable failure) {
    return failure instanceof AgentCallFailed known
        ? known
        : AgentCallFailed.unanswered("the agent does not answer: " + failure);
  }

  /** Closes connections; calls under way fail. */
  public Future<Void> close() {
    return client.close();
  }
}
