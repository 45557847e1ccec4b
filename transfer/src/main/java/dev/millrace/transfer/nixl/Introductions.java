package dev.millrace.transfer.nixl;

import dev.millrace.transfer.TransferException;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;

/**
 * Connecting: a description is loaded, its owner greeted, and a peer given out when it has answered
 * with the memory that can be read right now. Belongs to the control thread.
 */
final class Introductions implements Links.User {
  /** What is left of an old connection to the same agent needs a moment to go. */
  private static final Duration RETRY = Duration.ofMillis(20);

  private static final int MOST_ATTEMPTS = 3;

  /** Somebody wants to connect. */
  private record Introduction(
      Link.Target target,
      Frame.Body metadata,
      List<Region> regions,
      Function<Link, NixlPeer> peer,
      CompletableFuture<NixlPeer> answer,
      long endNanos) {}

  /** A hello that has been sent. */
  private record Greeted(Introduction introduction, Link link, int attempt) {}

  private final Links links;
  private final Outside outside;
  private final Map<Long, Greeted> greeted = new HashMap<>();

  Introductions(Links links, Outside outside) {
    this.links = links;
    this.outside = outside;
    links.add(this);
  }

  /** Loads a transport's description and greets it. */
  void connect(
      Envelope envelope,
      Function<Link, NixlPeer> peer,
      CompletableFuture<NixlPeer> answer,
      long endNanos) {
    connect(
        new Introduction(
            Link.Target.transport(envelope),
            Frame.Body.of(envelope.metadata()),
            envelope.regions(),
            peer,
            answer,
            endNanos),
        1);
  }

  /** Loads an engine's metadata. Engines do not answer greetings. */
  void connect(
      EngineDescription engine,
      Function<Link, NixlPeer> peer,
      CompletableFuture<NixlPeer> answer,
      long endNanos) {
    connect(
        new Introduction(
            Link.Target.engine(engine),
            Frame.Body.of(engine.metadata()),
            engine.regions(),
            peer,
            answer,
            endNanos),
        1);
  }

  private void connect(Introduction introduction, int attempt) {
    if (introduction.answer().isDone()) {
      return;
    }
    if (links.isInQuarantine(introduction.target().agentName())) {
      // Not an attempt: the quarantine ends when the peer wakes up, or goes.
      retry(introduction, attempt, "requests of an earlier connection are still with NIXL");
      return;
    }
    Link link;
    try {
      link = links.load(introduction.target(), introduction.metadata().bytes());
    } catch (NixlFailure e) {
      retry(introduction, attempt + 1, String.valueOf(e.getMessage()));
      return;
    } catch (TransferException e) {
      fail(introduction, String.valueOf(e.getMessage()));
      return;
    }
    switch (link.language()) {
      case ENGINE -> {
        link.setRegions(introduction.regions());
        give(introduction, link);
      }
      case FRAMES -> {
        long id = links.send(link, new Frame.Hello(links.contact()));
        if (id > 0) {
          greeted.put(id, new Greeted(introduction, link, attempt));
        } else {
          retry(introduction, attempt + 1, String.valueOf(link.broken()));
        }
      }
    }
  }

  private void retry(Introduction introduction, int attempt, String why) {
    if (attempt > MOST_ATTEMPTS || introduction.endNanos() - System.nanoTime() < RETRY.toNanos()) {
      fail(introduction, why);
      return;
    }
    outside.onControlAfter(RETRY, () -> connect(introduction, attempt));
  }

  private void fail(Introduction introduction, String why) {
    outside.complete(() ->
        introduction
            .answer()
            .completeExceptionally(
                new TransferException(
                    "cannot connect to %s: %s".formatted(introduction.target().label(), why))));
  }

  /** The owner has answered a hello. */
  void welcomed(String sender, Frame.Welcome welcome) {
    Greeted waiting = greeted.get(welcome.answers());
    if (waiting == null || !waiting.link().agentName().equals(sender)) {
      return;
    }
    greeted.remove(welcome.answers());
    Link link = waiting.link();
    link.welcomed();
    // NIXL knows the memory of this description and of earlier ones. Of that, what has been
    // unregistered since must not be read.
    Set<Region> readable = new HashSet<>(waiting.introduction().regions());
    readable.addAll(link.table().regions());
    readable.retainAll(new HashSet<>(welcome.regions()));
    link.setRegions(readable);
    give(waiting.introduction(), link);
  }

  private void give(Introduction introduction, Link link) {
    NixlPeer peer = introduction.peer().apply(link);
    link.peers().add(peer);
    outside.complete(() -> {
      if (!introduction.answer().complete(peer)) {
        peer.close();
      }
    });
  }

  /** Forgets greetings whose attempt to connect is over, one way or the other. */
  void dropFinished() {
    greeted.values().removeIf(waiting -> waiting.introduction().answer().isDone());
  }

  @Override
  public boolean needs(Link link) {
    return greeted.values().stream().anyMatch(waiting -> waiting.link().equals(link));
  }

  @Override
  public void broke(Link link) {
    List<Greeted> lost =
        greeted.values().stream().filter(waiting -> waiting.link().equals(link)).toList();
    greeted.values().removeAll(lost);
    lost.forEach(waiting ->
        retry(waiting.introduction(), waiting.attempt() + 1, String.valueOf(link.broken())));
  }
}
