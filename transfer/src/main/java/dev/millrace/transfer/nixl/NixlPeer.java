package dev.millrace.transfer.nixl;

import dev.millrace.layout.Runs;
import dev.millrace.transfer.Peer;
import dev.millrace.transfer.ReadOutcome;
import dev.millrace.transfer.ReadOutcome.Cause;
import dev.millrace.transfer.TransferException;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** A connected agent. */
final class NixlPeer implements Peer {
  static final int MOST_PAYLOAD_BYTES = 64 << 10;

  /** Notifications that wait for their confirmation; more are refused. */
  static final int MOST_UNCONFIRMED = 4096;

  /**
   * A transfer thread reports a read's deadline itself; only if a native call holds it up for
   * longer is the caller told by the clock.
   */
  private static final Duration HELD_UP = Duration.ofMillis(250);

  /** What a peer needs of its transport. */
  interface Transport {
    /** Hands a read to one of the transfer threads, or says why it cannot. */
    Optional<ReadOutcome.Failed> start(NixlRead read);

    /** Makes transfer threads look at their reads. */
    void wake();

    NixlRead.Surroundings surroundings(Link link);

    /** Runs on the control thread. */
    void control(Consumer<Relations> task);

    /** Runs on the delivery thread. */
    void complete(Runnable completion);

    Runnable after(Duration delay, Runnable action);

    /** Remembers what must be completed when the transport closes. */
    <T> void remember(CompletableFuture<T> future, Consumer<CompletableFuture<T>> whenClosed);
  }

  private final Transport transport;
  private final Link link;
  private final Set<NixlRead> reads = ConcurrentHashMap.newKeySet();
  private final AtomicInteger unconfirmed = new AtomicInteger();
  private volatile boolean closed;

  NixlPeer(Transport transport, Link link) {
    this.transport = transport;
    this.link = link;
  }

  @Override
  public String name() {
    return link.label();
  }

  @Override
  public CompletableFuture<ReadOutcome> read(
      Runs runs, Optional<byte[]> notification, Duration patience) {
    Duration deadline = Timers.bounded(patience);
    CompletableFuture<ReadOutcome> answer = new CompletableFuture<>();
    if (notification.isPresent() && notification.get().length > MOST_PAYLOAD_BYTES) {
      throw new IllegalArgumentException(tooLong(notification.get().length));
    }
    if (closed) {
      answer.complete(closedOutcome());
      return answer;
    }
    transport.remember(answer, future -> future.complete(closedOutcome()));
    long start = System.nanoTime();
    AtomicReference<@Nullable NixlRead> self = new AtomicReference<>();
    NixlRead read =
        new NixlRead(
            transport.surroundings(link),
            runs,
            start,
            deadline,
            outcome -> {
              NixlRead over = self.get();
              if (over != null) {
                reads.remove(over);
              }
              if (outcome instanceof ReadOutcome.Done done && notification.isPresent()) {
                Duration left = deadline.minusNanos(System.nanoTime() - start);
                tell(done, notification.get(), left, answer);
              } else {
                transport.complete(() -> answer.complete(outcome));
              }
            });
    self.set(read);
    reads.add(read);
    failAfter(deadline.plus(HELD_UP), answer, read::whyItIsLate, 0);
    transport
        .start(read)
        .ifPresent(failed -> {
          reads.remove(read);
          answer.complete(failed);
        });
    if (closed) {
      // close() may have looked before the read was there.
      read.stop(Cause.CLOSED, "the peer was closed");
      transport.wake();
    }
    return answer;
  }

  private void failAfter(
      Duration delay, CompletableFuture<ReadOutcome> answer, Supplier<String> reason, long bytes) {
    Runnable cancel =
        transport.after(
            delay,
            () ->
                transport.complete(() ->
                    answer.complete(new ReadOutcome.Failed(Cause.DEADLINE, reason.get(), bytes))));
    var _ = answer.whenComplete((_, _) -> cancel.run());
  }

  /** The bytes are here: the read is done when the peer has heard of it. */
  private void tell(
      ReadOutcome.Done done,
      byte[] notification,
      Duration left,
      CompletableFuture<ReadOutcome> answer) {
    failAfter(
        left,
        answer,
        () ->
            "all bytes arrived, but %s has not confirmed the notification in time"
                .formatted(link.label()),
        done.bytes());
    CompletableFuture<Boolean> confirmed = new CompletableFuture<>();
    var _ =
        confirmed.whenComplete((_, problem) ->
            answer.complete(
                problem == null
                    ? done
                    : new ReadOutcome.Failed(
                        Cause.PEER_LOST,
                        "all bytes arrived, but not the notification: " + problem.getMessage(),
                        done.bytes())));
    transport.control(relations -> relations.confirmations().send(link, notification, confirmed));
  }

  @Override
  public CompletableFuture<Void> notify(byte[] payload, Duration patience) {
    Duration deadline = Timers.bounded(patience);
    if (payload.length > MOST_PAYLOAD_BYTES) {
      throw new IllegalArgumentException(tooLong(payload.length));
    }
    CompletableFuture<Boolean> answer = new CompletableFuture<>();
    if (closed) {
      return CompletableFuture.failedFuture(new TransferException("the peer was closed"));
    }
    if (unconfirmed.incrementAndGet() > MOST_UNCONFIRMED) {
      unconfirmed.decrementAndGet();
      return CompletableFuture.failedFuture(
          new TransferException(
              "%s has not confirmed %d notifications yet: too many to send another one"
                  .formatted(link.label(), MOST_UNCONFIRMED)));
    }
    transport.remember(
        answer,
        future -> future.completeExceptionally(new TransferException("the transport was closed")));
    byte[] copy = payload.clone();
    Runnable cancel =
        transport.after(
            deadline,
            () ->
                transport.complete(() ->
                    answer.completeExceptionally(
                        new TransferException(
                            "%s did not confirm a notification within %d ms"
                                .formatted(link.label(), deadline.toMillis())))));
    var _ =
        answer.whenComplete((_, _) -> {
          unconfirmed.decrementAndGet();
          cancel.run();
        });
    transport.control(relations -> relations.confirmations().send(link, copy, answer));
    return answer.thenAccept(_ -> {});
  }

  private static String tooLong(int bytes) {
    return "a notification of %d bytes (at most %d)".formatted(bytes, MOST_PAYLOAD_BYTES);
  }

  private ReadOutcome closedOutcome() {
    return new ReadOutcome.Failed(
        Cause.CLOSED, "the link to %s was closed".formatted(link.label()), 0);
  }

  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    reads.forEach(read -> read.stop(Cause.CLOSED, "the peer was closed"));
    transport.wake();
    transport.control(relations -> relations.links().closed(this, link));
  }

  @Override
  public String toString() {
    return "NixlPeer[" + link.label() + "]";
  }
}
