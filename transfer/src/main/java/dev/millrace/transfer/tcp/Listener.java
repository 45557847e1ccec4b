package dev.millrace.transfer.tcp;

import dev.millrace.transfer.ReadOutcome.Cause;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Accepts connections, lets those in that know the secret, and serves each on a thread. */
final class Listener {
  private static final Logger log = LoggerFactory.getLogger(TcpTransport.class);

  private final Context context;
  private final ServerSocketChannel channel;
  private final ThreadPoolExecutor threads;
  private final ThreadPoolExecutor acceptor;
  private final AtomicInteger strangers = new AtomicInteger();

  Listener(Context context) throws IOException {
    this.context = context;
    TcpTransportOptions options = context.options;
    this.channel = ServerSocketChannel.open();
    try {
      channel.bind(new InetSocketAddress(options.bindHost(), options.port()), 128);
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
    this.threads =
        new ThreadPoolExecutor(
            0,
            options.limits().acceptedConnections(),
            10,
            TimeUnit.SECONDS,
            new SynchronousQueue<>(),
            context.threads("serve"));
    this.acceptor =
        new ThreadPoolExecutor(
            1, 1, 0, TimeUnit.SECONDS, new SynchronousQueue<>(), context.threads("accept"));
    acceptor.execute(this::accept);
  }

  int port() throws IOException {
    return ((InetSocketAddress) channel.getLocalAddress()).getPort();
  }

  private void accept() {
    while (channel.isOpen()) {
      try {
        admit(channel.accept());
      } catch (IOException e) {
        if (channel.isOpen()) {
          log.warn("{} cannot accept connections: {}", context.options.name(), e.toString());
          pause();
        }
      }
    }
  }

  /** Out of file descriptors, most likely: trying again at once would only burn the CPU. */
  private static void pause() {
    try {
      Thread.sleep(50);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void admit(SocketChannel accepted) throws IOException {
    Wire wire;
    try {
      wire = context.wire(accepted, String.valueOf(accepted.getRemoteAddress()));
    } catch (IOException e) {
      accepted.close();
      return;
    }
    if (strangers.incrementAndGet() > context.options.limits().strangers()) {
      strangers.decrementAndGet();
      refuse(wire, "too many connections have not proved themselves yet");
      return;
    }
    try {
      threads.execute(() -> serve(wire));
    } catch (RejectedExecutionException e) {
      strangers.decrementAndGet();
      refuse(wire, "as many connections are open as the limits allow");
    }
  }

  private void serve(Wire wire) {
    try (wire) {
      if (authenticate(wire)) {
        new Serving(context, wire).serve();
      }
    } catch (IOException | RuntimeException e) {
      log.debug(
          "{}: the connection from {} ended: {}",
          context.options.name(),
          wire.remote(),
          wire.aborted().map(Wire.Abort::reason).orElseGet(e::toString));
    }
  }

  private boolean authenticate(Wire wire) {
    Runnable enough =
        context.after(
            context.options.limits().greeting(),
            () -> wire.abort(Cause.DEADLINE, "it did not prove itself in time"),
            () -> wire.abort(Cause.CLOSED, "the transport was closed"));
    try {
      Authentication.demand(wire, context.options.secret(), context.instance, context.random);
      return true;
    } catch (IOException e) {
      refuse(wire, wire.aborted().map(Wire.Abort::reason).orElseGet(e::getMessage));
      return false;
    } finally {
      enough.run();
      strangers.decrementAndGet();
    }
  }

  private void refuse(Wire wire, String reason) {
    context.refused.increment();
    log.info("{} refused a connection from {}: {}", context.options.name(), wire.remote(), reason);
    wire.close();
  }

  /** Stops accepting; the open connections have been closed before or are closed after. */
  void stop() {
    try {
      channel.close();
    } catch (IOException e) {
      log.debug("closing the listener of {}", context.options.name(), e);
    }
    Context.shutDown(acceptor);
  }

  void awaitEnd() {
    Context.shutDown(threads);
  }
}
