package dev.millrace.transfer.sidechannel;

import dev.millrace.transfer.TransferException;
import java.io.EOFException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/** The asking side, a REQ. Each question has a connection of its own, on one of a few threads. */
public final class SideChannelClient implements AutoCloseable {
  private static final int QUESTIONS_AT_ONCE = 8;
  private static final int QUEUED_QUESTIONS = 1024;

  private final ThreadPoolExecutor threads;
  private final ScheduledThreadPoolExecutor timer =
      new ScheduledThreadPoolExecutor(1, SideChannelThreads.named("timer"));
  private final Set<Socket> connections = ConcurrentHashMap.newKeySet();
  private final Set<Runnable> cancels = ConcurrentHashMap.newKeySet();

  /** A client that has asked nothing yet. */
  public SideChannelClient() {
    this(SideChannelThreads.named("ask"));
  }

  /** A client that asks on such threads. */
  SideChannelClient(ThreadFactory asking) {
    threads =
        new ThreadPoolExecutor(
            QUESTIONS_AT_ONCE,
            QUESTIONS_AT_ONCE,
            5,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(QUEUED_QUESTIONS),
            asking);
    threads.allowCoreThreadTimeOut(true);
    timer.setRemoveOnCancelPolicy(true);
    timer.setExecuteExistingDelayedTasksAfterShutdownPolicy(false);
  }

  /**
   * Asks an engine of connector version 14 for a rank's handshake. Ask only for ranks that exist: a
   * vLLM that is asked for another one never answers anybody again.
   */
  public CompletableFuture<Handshake> ask(
      String host, int port, int pipelineRank, int tensorRank, Duration timeout) {
    return ask(host, port, new RankId(pipelineRank, tensorRank), ConnectorVersion.V14, timeout);
  }

  /**
   * Asks for a rank's handshake in the form that {@code version} understands.
   *
   * @return the answer, or a failure with {@link TransferException} within {@code timeout}
   */
  public CompletableFuture<Handshake> ask(
      String host, int port, RankId rank, ConnectorVersion version, Duration timeout) {
    CompletableFuture<Handshake> answer = new CompletableFuture<>();
    String where = host + ":" + port;
    long startNanos = System.nanoTime();
    Runnable cancel =
        () ->
            answer.completeExceptionally(
                new TransferException("the side channel's client was closed"));
    cancels.add(cancel);
    try {
      var late =
          timer.schedule(
              () -> answer.completeExceptionally(noAnswer(where, rank, timeout)),
              timeout.toNanos(),
              TimeUnit.NANOSECONDS);
      var _ =
          answer.whenComplete((result, failure) -> {
            late.cancel(false);
            cancels.remove(cancel);
          });
      threads.execute(() -> {
        Duration left = timeout.minusNanos(System.nanoTime() - startNanos);
        if (left.toMillis() < 1 || answer.isDone()) {
          return;
        }
        try {
          answer.complete(exchange(new InetSocketAddress(host, port), rank, version, left));
        } catch (SocketTimeoutException e) {
          answer.completeExceptionally(noAnswer(where, rank, timeout));
        } catch (IOException | RuntimeException e) {
          answer.completeExceptionally(failure(where, e));
        } catch (OutOfMemoryError e) {
          answer.completeExceptionally(e);
        }
      });
    } catch (OutOfMemoryError e) {
      // No thread can be started.
      answer.completeExceptionally(e);
    } catch (RejectedExecutionException e) {
      cancels.remove(cancel);
      answer.completeExceptionally(
          new TransferException(
              threads.isShutdown()
                  ? "the side channel's client is closed"
                  : "%d questions to side channels wait already".formatted(QUEUED_QUESTIONS),
              e));
    }
    return answer;
  }

  private static TransferException noAnswer(String where, RankId rank, Duration timeout) {
    return new TransferException(
        "the side channel at %s gave no answer for pipeline rank %d, tensor rank %d within %d ms; vLLM's listener ends for good when it is asked for a rank that it does not have: restart that engine if nothing else is wrong"
            .formatted(where, rank.pipeline(), rank.tensor(), timeout.toMillis()));
  }

  private static TransferException failure(String where, Exception e) {
    String what =
        switch (e) {
          case MalformedHandshake malformed -> "answered what is no handshake";
          case Zmtp.Malformed malformed -> "is none";
          case EOFException eof -> "hung up";
          default -> "cannot be reached";
        };
    return new TransferException(
        "the side channel at %s %s: %s".formatted(where, what, e.getMessage()), e);
  }

  private Handshake exchange(
      InetSocketAddress address, RankId rank, ConnectorVersion version, Duration left)
      throws IOException {
    long startNanos = System.nanoTime();
    Socket socket = new Socket();
    connections.add(socket);
    try (socket) {
      if (address.isUnresolved()) {
        throw new IOException("the host name is unknown");
      }
      if (threads.isShutdown()) {
        throw new IOException("the side channel's client is closed");
      }
      socket.connect(address, (int) Math.min(left.toMillis(), Integer.MAX_VALUE));
      Zmtp connection = new Zmtp(socket, HandshakeCodec.MOST_BYTES);
      connection.within(left.minusNanos(System.nanoTime() - startNanos));
      connection.greet("REQ");
      connection.send(List.of(new byte[0], HandshakeCodec.encodeRequest(rank, version)));
      return handshake(
          connection.receive(3).orElseThrow(() -> new EOFException("closed instead of an answer")));
    } finally {
      connections.remove(socket);
    }
  }

  /** Up to connector version 4 the reply has no clock. */
  private static Handshake handshake(List<byte[]> frames) {
    if (frames.size() < 2 || frames.size() > 3 || frames.get(0).length != 0) {
      throw new MalformedHandshake(
          "%d frames, not [empty, payload, clock]".formatted(frames.size()));
    }
    if (frames.size() == 3) {
      double _ = HandshakeCodec.decodeClock(frames.get(2));
    }
    return HandshakeCodec.decodeHandshake(frames.get(1));
  }

  /** Ends all questions with a failure. */
  @Override
  public void close() {
    threads.shutdown();
    timer.shutdown();
    cancels.forEach(Runnable::run);
    connections.forEach(SideChannelThreads::close);
  }
}
