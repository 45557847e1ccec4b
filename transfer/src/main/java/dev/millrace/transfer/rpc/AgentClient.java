package dev.millrace.transfer.rpc;

import com.google.protobuf.Message;
import dev.millrace.transfer.rpc.v1.DescribeReply;
import dev.millrace.transfer.rpc.v1.DescribeRequest;
import dev.millrace.transfer.rpc.v1.ExtendReply;
import dev.millrace.transfer.rpc.v1.ExtendRequest;
import dev.millrace.transfer.rpc.v1.MeasureReply;
import dev.millrace.transfer.rpc.v1.MeasureRequest;
import dev.millrace.transfer.rpc.v1.ReadReply;
import dev.millrace.transfer.rpc.v1.ReadRequest;
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
import io.vertx.grpc.common.GrpcStatus;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
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

  /** A read under way. */
  public static final class Reading {
    private final Promise<ReadReply> over = Promise.promise();
    private final AtomicReference<@Nullable GrpcClientRequest<?, ?>> call = new AtomicReference<>();
    private volatile boolean cancelled;

    private Reading() {}

    /** The last message, which says done or failed; fails if there was none. */
    public Future<ReadReply> outcome() {
      return over.future();
    }

    /** Gives the read up. The agent frees what it can; its last message does not get here. */
    public void cancel() {
      cancelled = true;
      over.tryFail(new AgentCallFailed(GrpcStatus.CANCELLED, "the read was given up"));
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
  public Reading read(ReadRequest request, Consumer<ReadReply> progress, Duration deadline) {
    Reading reading = new Reading();
    ReadRequest timed =
        request.toBuilder()
            .setDeadlineMillis(Math.clamp(deadline.toMillis(), 1, Integer.MAX_VALUE))
            .build();
    start(Methods.READ, deadline.plus(GRACE))
        .onFailure(failure -> reading.over.tryFail(explained(failure)))
        .onSuccess(call -> {
          reading.call.set(call);
          if (reading.cancelled) {
            call.cancel();
            return;
          }
          call.send(timed)
              .onFailure(failure -> reading.over.tryFail(explained(failure)))
              .onSuccess(response -> follow(response, reading, progress));
        });
    return reading;
  }

  private static void follow(
      GrpcClientResponse<ReadRequest, ReadReply> response,
      Reading reading,
      Consumer<ReadReply> progress) {
    response.handler(reply -> {
      if (reply.hasDone() || reply.hasFailed()) {
        reading.over.tryComplete(reply);
      } else if (!reading.cancelled) {
        progress.accept(reply);
      }
    });
    onEnd(response, reading.over);
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
          response.errorHandler(error -> answer.tryFail(refusal(error.status, error.name())));
          response.exceptionHandler(failure -> answer.tryFail(explained(failure)));
          return answer.future();
        })
        .recover(failure -> Future.failedFuture(explained(failure)));
  }

  private <Q extends Message, A extends Message> Future<GrpcClientRequest<Q, A>> start(
      Methods<Q, A> method, Duration deadline) {
    return client
        .request(address, method.called())
        .map(call -> {
          call.headers().set("authorization", token.header());
          call.timeout(Math.max(1, deadline.toMillis()), TimeUnit.MILLISECONDS);
          return call;
        });
  }

  private static void onEnd(GrpcClientResponse<?, ?> response, Promise<?> over) {
    response.endHandler(ended -> over.tryFail(refusal(response)));
    response.errorHandler(error -> over.tryFail(refusal(error.status, error.name())));
    response.exceptionHandler(failure -> over.tryFail(explained(failure)));
  }

  private static AgentCallFailed refusal(GrpcClientResponse<?, ?> response) {
    return refusal(response.status(), response.statusMessage());
  }

  private static AgentCallFailed refusal(@Nullable GrpcStatus status, @Nullable String message) {
    return status == null || status == GrpcStatus.OK
        ? new AgentCallFailed(GrpcStatus.UNAVAILABLE, "the agent ended the call without an answer")
        : new AgentCallFailed(status, message == null ? status.toString() : message);
  }

  private static AgentCallFailed explained(Throwable failure) {
    return failure instanceof AgentCallFailed known
        ? known
        : new AgentCallFailed(GrpcStatus.UNAVAILABLE, "the agent does not answer: " + failure);
  }

  /** Closes connections; calls under way fail. */
  public Future<Void> close() {
    return client.close();
  }
}
