package dev.millrace.transfer.nixl;

import dev.millrace.transfer.SharedSecret;
import dev.millrace.transfer.TransferException;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import java.util.function.Predicate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The agents that this one knows, and what it has told them and waits to hear back. All of it
 * belongs to the control thread.
 *
 * <p>There is one way to deal with an error. The link is broken from then on and takes no new
 * requests; when NIXL has ended those it has, the metadata is invalidated; whoever wants to go on
 * gets a fresh description and connects again. Nothing is concluded from the kind of error, as NIXL
 * has only one.
 */
final class Links {
  private static final Logger LOG = LoggerFactory.getLogger(Links.class);

  /** What is left of an old connection to the same agent needs a moment to go. */
  static final Duration RETRY = Duration.ofMillis(20);

  private static final int MOST_ATTEMPTS = 3;

  /** What this side looks like to itself. */
  record Self(AgentHandle agent, Envelope.Identity identity, SharedSecret secret) {}

  /** Where others hear of it. */
  record Outside(ControlLoop control, Timers timers, Deliveries deliveries) {}

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

  /** A notification that has not been confirmed. */
  private record Unconfirmed(Link link, CompletableFuture<Boolean> answer) {}

  private final Self self;
  private final Outside outside;
  private final Frame.Body contact;
  private final Map<String, Link> links = new HashMap<>();
  private final Map<Long, Greeted> greeted = new HashMap<>();
  private final Map<Long, Unconfirmed> unconfirmed = new HashMap<>();
  private final Map<Long, Link> asked = new HashMap<>();
  private Predicate<String> isReader = _ -> false;
  private long number;

  Links(Self self, Outside outside) {
    this.self = self;
    this.outside = outside;
    this.contact =
        Frame.Body.of(
            new Envelope(self.identity(), List.of(), self.agent().contact()).seal(self.secret()));
  }

  /** Links to readers of our memory are kept though nobody here uses them. */
  void keepThoseOf(Predicate<String> readers) {
    isReader = readers;
  }

  /** How others reach this agent, signed. */
  Frame.Body contact() {
    return contact;
  }

  // Connecting

  /** Loads a transport's description and greets it. */
  void connect(
      Envelope envelope,
      Function<Link, NixlPeer> peer,
      CompletableFuture<NixlPeer> answer,
      long endNanos) {
    connect(
        new Introduction(
            transport(envelope),
            Frame.Body.of(envelope.metadata()),
            envelope.regions(),
            peer,
            answer,
            endNanos),
        1);
  }

  private static Link.Target transport(Envelope envelope) {
    return new Link.Target(
        envelope.label(), envelope.agentName(), Link.Language.FRAMES, MemoryKind.DRAM, 0);
  }

  /** Loads an engine's metadata. Engines do not answer greetings. */
  void connect(
      EngineDescription engine,
      Function<Link, NixlPeer> peer,
      CompletableFuture<NixlPeer> answer,
      long endNanos) {
    Link.Target target =
        new Link.Target(
            engine.agentName(),
            engine.agentName(),
            Link.Language.ENGINE,
            engine.kind(),
            engine.device());
    Frame.Body metadata = Frame.Body.of(engine.metadata());
    connect(new Introduction(target, metadata, engine.regions(), peer, answer, endNanos), 1);
  }

  private void connect(Introduction introduction, int attempt) {
    if (introduction.answer().isDone()) {
      return;
    }
    Link known = links.get(introduction.target().agentName());
    if (known != null && known.broken() != null && known.requests() > 0) {
      // Not an attempt: the quarantine ends when the peer wakes up, or goes.
      String why =
          "%d requests of an earlier connection are still with NIXL".formatted(known.requests());
      retry(introduction, attempt, why);
      return;
    }
    Link link;
    try {
      link = load(introduction.target(), introduction.metadata().bytes());
    } catch (NixlFailure e) {
      retry(introduction, attempt + 1, String.valueOf(e.getMessage()));
      return;
    } catch (TransferException e) {
      fail(introduction, String.valueOf(e.getMessage()));
      return;
    }
    switch (link.language()) {
      case ENGINE -> {
        link.setTable(link.table().renewed(introduction.regions()));
        give(introduction, link);
      }
      case FRAMES -> {
        long id = send(link, new Frame.Hello(contact));
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
    after(RETRY, () -> connect(introduction, attempt));
  }

  private void fail(Introduction introduction, String why) {
    complete(() ->
        introduction
            .answer()
            .completeExceptionally(
                new TransferException(
                    "cannot connect to %s: %s".formatted(introduction.target().label(), why))));
  }

  private Link load(Link.Target target, byte[] metadata) {
    Link known = links.get(target.agentName());
    if (known != null && known.broken() != null) {
      forget(known);
      known = null;
    }
    String loaded = self.agent().load(metadata);
    if (!loaded.equals(target.agentName())) {
      self.agent().invalidate(self.agent().cString(loaded));
      throw new TransferException(
          "its metadata is that of another agent, \"%s\" and not \"%s\""
              .formatted(loaded, target.agentName()));
    }
    if (known != null) {
      return known;
    }
    Link link = new Link(target, self.agent().cString(target.agentName()));
    links.put(target.agentName(), link);
    return link;
  }

  /** The owner has answered a hello. */
  void welcomed(String sender, Frame.Welcome welcome) {
    Greeted waiting = greeted.get(welcome.answers());
    if (waiting == null || !waiting.link().agentName().equals(sender)) {
      return;
    }
    greeted.remove(welcome.answers());
    waiting.link().welcomed();
    // What has been unregistered since the description was made must not be read.
    Set<Region> current = new HashSet<>(welcome.regions());
    waiting
        .link()
        .setTable(
            waiting
                .link()
                .table()
                .renewed(
                    waiting.introduction().regions().stream().filter(current::contains).toList()));
    give(waiting.introduction(), waiting.link());
  }

  private void give(Introduction introduction, Link link) {
    NixlPeer peer = introduction.peer().apply(link);
    link.peers().add(peer);
    complete(() -> {
      if (!introduction.answer().complete(peer)) {
        peer.close();
      }
    });
  }

  /** Forgets greetings whose attempt to connect is over, one way or the other. */
  void dropFinishedGreetings() {
    greeted.values().removeIf(waiting -> waiting.introduction().answer().isDone());
  }

  // Telling

  /**
   * Sends an application's notification and waits for its confirmation, which engines do not send.
   */
  void notify(Link link, byte[] payload, CompletableFuture<Boolean> answer) {
    long id =
        switch (link.language()) {
          case FRAMES -> send(link, new Frame.Deliver(Frame.Body.of(payload)));
          case ENGINE -> sendBytes(link, payload) ? ++number : 0;
        };
    if (id == 0) {
      complete(() -> answer.completeExceptionally(lost(link)));
    } else if (link.language() == Link.Language.ENGINE) {
      complete(() -> answer.complete(true));
    } else {
      unconfirmed.put(id, new Unconfirmed(link, answer));
      var _ = answer.whenComplete((_, _) -> onControl(() -> unconfirmed.remove(id)));
    }
  }

  /** The other end has got a notification. */
  void confirmed(String sender, Frame.Confirm confirm) {
    Unconfirmed waiting = unconfirmed.get(confirm.answers());
    if (waiting == null || !waiting.link().agentName().equals(sender)) {
      return;
    }
    unconfirmed.remove(confirm.answers());
    complete(() -> {
      switch (confirm.taken()) {
        case BY_HANDLER -> waiting.answer().complete(true);
        case NOBODY_LISTENS ->
            waiting
                .answer()
                .completeExceptionally(new TransferException(sender + " takes no notifications"));
      }
    });
  }

  /** Sends a frame; its number, or 0 if the link is broken. */
  private long send(Link link, Frame frame) {
    long id = ++number;
    byte[] sealed =
        Frame.seal(
            new Frame.Numbered(id, frame),
            self.identity().agentName(),
            link.agentName(),
            self.secret());
    return sendBytes(link, sealed) ? id : 0;
  }

  private boolean sendBytes(Link link, byte[] bytes) {
    if (link.broken() != null) {
      return false;
    }
    int status = self.agent().send(link.cName(), bytes);
    if (status != NixlFailure.SUCCESS) {
      link.breakWith(
          "a notification could not be sent: %d (%s)"
              .formatted(status, NixlFailure.meaning(status)));
      return false;
    }
    return true;
  }

  private static TransferException lost(Link link) {
    String broken = link.broken();
    return new TransferException(
        broken == null
            ? "the link to %s was closed".formatted(link.label())
            : "the link to %s broke (%s): get a fresh description and connect again"
                .formatted(link.label(), broken));
  }

  /** How telling somebody who has introduced himself went. */
  enum Told {
    YES,
    /** Requests to it are with NIXL still, so that its broken link cannot be replaced. */
    NOT_NOW,
    GONE
  }

  /** Reaches one who has introduced himself, on a new link if need be. */
  Told tell(Envelope itsContact, Frame frame) {
    for (int attempt = 0; attempt < 2; attempt++) {
      Link link = links.get(itsContact.agentName());
      if (link != null && link.broken() != null && link.requests() > 0) {
        return Told.NOT_NOW;
      }
      try {
        if (link == null || link.broken() != null) {
          link = load(transport(itsContact), itsContact.metadata());
        }
        if (send(link, frame) > 0) {
          return Told.YES;
        }
      } catch (NixlFailure | TransferException e) {
        LOG.debug("{} could not be reached", itsContact.label(), e);
      }
    }
    return Told.GONE;
  }

  // Memory that was registered, or is wanted back, after connecting

  /** Asks the owner for its description as it is now. */
  void ask(Link link) {
    if (link.broken() == null && link.beginAsking()) {
      long id = send(link, new Frame.Ask());
      if (id > 0) {
        asked.put(id, link);
      }
    }
  }

  /** The owner has described itself again. */
  void answered(String sender, Frame.Answer answer) {
    Link link = asked.get(answer.answers());
    if (link == null || !link.agentName().equals(sender)) {
      return;
    }
    asked.remove(answer.answers());
    Envelope envelope = Envelope.open(answer.description().bytes(), self.secret());
    if (envelope.agentName().equals(sender)) {
      reload(link, envelope);
    }
  }

  private void reload(Link link, Envelope envelope) {
    if (link.broken() != null) {
      return;
    }
    Optional<String> problem = tryToLoad(envelope);
    if (problem.isPresent()) {
      // NIXL takes more memory of a peer that it knows, but none that has changed.
      if (!link.beginReload()) {
        after(RETRY, () -> reload(link, envelope));
        return;
      }
      try {
        self.agent().invalidate(link.cName());
        problem = tryToLoad(envelope);
      } finally {
        link.endReload();
      }
    }
    if (problem.isPresent()) {
      link.breakWith(problem.get());
    } else {
      link.setTable(link.table().renewed(envelope.regions()));
      link.refreshed();
    }
  }

  private Optional<String> tryToLoad(Envelope envelope) {
    try {
      self.agent().load(envelope.metadata());
      return Optional.empty();
    } catch (NixlFailure e) {
      return Optional.of(String.valueOf(e.getMessage()));
    }
  }

  /** An owner wants memory back. Runs {@code released} when nothing here reads it any more. */
  void revoke(String owner, Region region, Runnable released) {
    Link link = links.get(owner);
    if (link == null) {
      released.run();
    } else {
      // The last claim may be let go of by a transfer thread.
      link.revoke(region, () -> onControl(released));
    }
  }

  /** An owner ends. What it is still sending may arrive; then it hears that nothing reads it. */
  void ownerCloses(String owner) {
    Link link = links.get(owner);
    if (link != null) {
      link.breakWith("it was closed");
    }
  }

  // Ending

  /** A peer that was given out is not used any more. */
  void closed(NixlPeer peer, Link link) {
    link.peers().remove(peer);
  }

  /** Looks after links: tells those who wait for a broken one, and forgets what nobody uses. */
  void sweep() {
    for (Link link : List.copyOf(links.values())) {
      if (link.broken() != null) {
        failAllOf(link);
      }
      if (link.requests() == 0 && (link.broken() != null || isUnused(link))) {
        sayBye(link);
        forget(link);
      }
    }
  }

  private boolean isUnused(Link link) {
    return link.peers().isEmpty()
        && !isReader.test(link.agentName())
        && greeted.values().stream().noneMatch(waiting -> waiting.link().equals(link));
  }

  private void failAllOf(Link link) {
    asked.values().removeIf(link::equals);
    for (Greeted waiting : take(greeted, waiting -> waiting.link().equals(link))) {
      retry(waiting.introduction(), waiting.attempt() + 1, String.valueOf(link.broken()));
    }
    for (Unconfirmed waiting : take(unconfirmed, waiting -> waiting.link().equals(link))) {
      complete(() -> waiting.answer().completeExceptionally(lost(link)));
    }
  }

  private static <T> List<T> take(Map<Long, T> from, Predicate<T> which) {
    List<T> taken = from.values().stream().filter(which).toList();
    from.values().removeIf(which);
    return taken;
  }

  private void forget(Link link) {
    failAllOf(link);
    links.remove(link.agentName(), link);
    self.agent().invalidate(link.cName());
  }

  /** Tells one whose memory was read here that this is over, even if the link is broken. */
  private void sayBye(Link link) {
    if (link.isWelcome()) {
      byte[] sealed =
          Frame.seal(
              new Frame.Numbered(++number, new Frame.Bye()),
              self.identity().agentName(),
              link.agentName(),
              self.secret());
      int status = self.agent().send(link.cName(), sealed);
      LOG.debug("bye to {}: {}", link.label(), status);
    }
  }

  /** Tells all whose memory was read here that it is over. */
  void goodbye() {
    links.values().forEach(this::sayBye);
  }

  private void onControl(Runnable task) {
    outside.control().submit(task);
  }

  private void after(Duration delay, Runnable task) {
    outside.timers().after(delay, () -> onControl(task));
  }

  private void complete(Runnable completion) {
    outside.deliveries().completion(completion);
  }
}
