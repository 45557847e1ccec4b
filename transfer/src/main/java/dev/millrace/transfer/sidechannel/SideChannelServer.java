package dev.millrace.transfer.sidechannel;

import dev.millrace.transfer.TransferException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.LongSupplier;
import java.util.function.Predicate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The answering side, a ROUTER: hands out the handshakes of an engine's ranks. A question that
 * cannot be answered stays without an answer, as there is no message that would say so.
 */
public final class SideChannelServer implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(SideChannelServer.class);

  /** A request has 17 bytes and a delimiter. */
  private static final int MOST_MESSAGE_BYTES = 1024;

  /** vLLM's workers open a connection per handshake and close it afterwards. */
  private static final int MOST_CONNECTIONS = 256;

  private static final Duration GREETING = Duration.ofSeconds(5);
  private static final Duration IDLE = Duration.ofMinutes(5);

  /** Whoever has not taken an answer by then has given up: vLLM waits 5 s for it (v0.32). */
  private static final Duration ANSWER = Duration.ofSeconds(5);

  /** What becomes of a listener that is asked what it does not understand. */
  public enum Temper {
    /** It counts the question and goes on, and understands both forms of requests. */
    FORGIVING,
    /**
     * It ends for good, as vLLM's does (v0.32, {@code _nixl_handshake_listener}): connections are
     * accepted, nothing is answered any more. It understands one form. A request that does not
     * begin as it should is answered all the same.
     */
    AS_VLLM
  }

  private final ServerSocket socket;
  private final ConnectorVersion version;
  private final Temper temper;
  private final Predicate<InetAddress> mayAsk;
  private final LongSupplier nanoClock;
  private final ThreadPoolExecutor threads;
  private final ScheduledThreadPoolExecutor timer =
      new ScheduledThreadPoolExecutor(1, SideChannelThreads.named("answer-timer"));
  private final Thread acceptor;
  private final Set<Socket> connections = ConcurrentHashMap.newKeySet();
  private final LongAdder answered = new LongAdder();
  private final LongAdder refused = new LongAdder();
  private volatile Map<RankId, Handshake> ranks;
  private volatile boolean dead;

  private SideChannelServer(
      ServerSocket socket,
      Map<RankId, Handshake> ranks,
      ConnectorVersion version,
      Temper temper,
      Predicate<InetAddress> mayAsk,
      LongSupplier nanoClock) {
    this.socket = socket;
    this.version = version;
    this.temper = temper;
    this.mayAsk = mayAsk;
    this.ranks = Map.copyOf(ranks);
    this.nanoClock = nanoClock;
    this.threads =
        new ThreadPoolExecutor(
            0,
            MOST_CONNECTIONS,
            5,
            TimeUnit.SECONDS,
            new SynchronousQueue<>(),
            SideChannelThreads.named("answer"));
    timer.setRemoveOnCancelPolicy(true);
    this.acceptor = SideChannelThreads.named("accept").newThread(this::accept);
  }

  /**
   * Starts to answer.
   *
   * @param port 0 for any free one
   * @param ranks the handshake of each rank that exists
   * @throws TransferException if the address cannot be listened on
   */
  public static SideChannelServer start(String host, int port, Map<RankId, Handshake> ranks) {
    return start(host, port, ranks, ConnectorVersion.V14, Temper.FORGIVING, System::nanoTime);
  }

  /**
   * The same for an engine of some version.
   *
   * @param version decides the form of replies
   * @param nanoClock whose time goes into them
   */
  public static SideChannelServer start(
      String host,
      int port,
      Map<RankId, Handshake> ranks,
      ConnectorVersion version,
      Temper temper,
      LongSupplier nanoClock) {
    return start(host, port, ranks, version, temper, anybody -> true, nanoClock);
  }

  /**
   * The same for some who ask.
   *
   * @param mayAsk whose connections are taken; others are closed before a byte of theirs is read
   */
  public static SideChannelServer start(
      String host,
      int port,
      Map<RankId, Handshake> ranks,
      ConnectorVersion version,
      Temper temper,
      Predicate<InetAddress> mayAsk,
      LongSupplier nanoClock) {
    try {
      ServerSocket socket = new ServerSocket();
      try {
        socket.bind(new InetSocketAddress(host, port), 128);
      } catch (IOException | RuntimeException e) {
        socket.close();
        throw e;
      }
      SideChannelServer server =
          new SideChannelServer(socket, ranks, version, temper, mayAsk, nanoClock);
      server.acceptor.start();
      return server;
    } catch (IOException | RuntimeException e) {
      throw new TransferException(
          "the side channel cannot listen on %s:%d: %s".formatted(host, port, e.getMessage()), e);
    }
  }

  /** The port that it listens on. */
  public int port() {
    return socket.getLocalPort();
  }

  /** From now on answers with these. */
  public void replace(Map<RankId, Handshake> replacement) {
    ranks = Map.copyOf(replacement);
  }

  /** Questions answered since the start. */
  public long answered() {
    return answered.sum();
  }

  /**
   * Connections and messages since the start that were not understood, and questions for ranks that
   * are not known.
   */
  public long refused() {
    return refused.sum();
  }

  private void accept() {
    while (!socket.isClosed()) {
      try {
        admit(socket.accept());
      } catch (IOException e) {
        if (!socket.isClosed()) {
          log.warn("the side channel on port {} cannot accept: {}", port(), e.toString());
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

  private void admit(Socket accepted) throws IOException {
    if (!mayAsk.test(accepted.getInetAddress())) {
      accepted.close();
      refuse(accepted.getInetAddress().getHostAddress() + " is not on the list of who may ask");
      return;
    }
    connections.add(accepted);
    try {
      threads.execute(() -> serve(accepted));
    } catch (RejectedExecutionException e) {
      connections.remove(accepted);
      accepted.close();
      refuse("as many connections are open as the limit allows");
    }
  }

  private void serve(Socket accepted) {
    try (Zmtp connection = new Zmtp(accepted, MOST_MESSAGE_BYTES)) {
      connection.within(GREETING);
      connection.greet("ROUTER");
      connection.within(IDLE);
      Optional<List<byte[]>> message = connection.receive(2);
      while (message.isPresent()) {
        answer(connection, message.get());
        connection.within(IDLE);
        message = connection.receive(2);
      }
    } catch (Zmtp.Malformed e) {
      refuse(String.valueOf(e.getMessage()));
    } catch (IOException e) {
      log.debug("a connection to the side channel on port {} ended: {}", port(), e.toString());
    } finally {
      connections.remove(accepted);
    }
  }

  private void answer(Zmtp connection, List<byte[]> frames) throws IOException {
    if (dead) {
      return;
    }
    try {
      Handshake handshake = handshake(frames);
      byte[] payload = HandshakeCodec.encode(handshake);
      send(
          connection,
          version.repliesWithClock()
              ? List.of(
                  new byte[0], payload, HandshakeCodec.encodeClock(nanoClock.getAsLong() / 1e9))
              : List.of(new byte[0], payload));
      answered.increment();
    } catch (MalformedHandshake e) {
      dead = temper == Temper.AS_VLLM;
      refuse(String.valueOf(e.getMessage()));
    }
  }

  private Handshake handshake(List<byte[]> frames) {
    if (frames.size() != 2 || frames.get(0).length != 0) {
      throw new MalformedHandshake("a message that is not [empty, request]");
    }
    HandshakeCodec.Request request = HandshakeCodec.readRequest(frames.get(1));
    switch (temper) {
      case FORGIVING -> {
        if (!request.meant()) {
          throw new MalformedHandshake("a request that does not start with get_meta_msg");
        }
      }
      case AS_VLLM -> {
        if (request.form() != version.requestForm()) {
          throw new MalformedHandshake(
              "a request of form %s, which connector version %d does not know"
                  .formatted(request.form(), version.number()));
        }
      }
    }
    Handshake handshake = ranks.get(request.rank());
    if (handshake == null) {
      throw new MalformedHandshake(
          "%s is asked for, known are %s".formatted(request.rank(), ranks.keySet()));
    }
    return handshake;
  }

  /** Sends, or closes the connection if its other end does not take what is sent. */
  private void send(Zmtp connection, List<byte[]> frames) throws IOException {
    var late =
        timer.schedule(
            () -> SideChannelThreads.close(connection), ANSWER.toNanos(), TimeUnit.NANOSECONDS);
    try {
      connection.send(frames);
    } finally {
      late.cancel(false);
    }
  }

  private void refuse(String reason) {
    refused.increment();
    log.info("the side channel on port {} does not answer: {}", port(), reason);
  }

  @Override
  public void close() {
    SideChannelThreads.close(socket);
    threads.shutdown();
    connections.forEach(SideChannelThreads::close);
    try {
      acceptor.join();
      // One more may have been accepted meanwhile.
      connections.forEach(SideChannelThreads::close);
      if (!threads.awaitTermination(5, TimeUnit.SECONDS)) {
        log.warn("threads of the side channel on port {} did not end", port());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      timer.shutdownNow();
    }
  }
}
