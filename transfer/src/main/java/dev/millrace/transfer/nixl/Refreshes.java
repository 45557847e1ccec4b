package dev.millrace.transfer.nixl;

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/**
 * Memory that was registered after its reader had connected: the reader asks for a description as
 * it is now. Belongs to the control thread.
 */
final class Refreshes implements Links.User {
  private static final Duration RETRY = Duration.ofMillis(20);

  private final Links links;
  private final Self self;
  private final Outside outside;
  private final Map<Long, Link> asked = new HashMap<>();

  Refreshes(Links links, Self self, Outside outside) {
    this.links = links;
    this.self = self;
    this.outside = outside;
    links.add(this);
  }

  /** Asks the owner for its description as it is now, unless that is under way. */
  void ask(Link link) {
    if (link.broken() == null && link.beginAsking()) {
      long id = links.send(link, new Frame.Ask());
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
      // NIXL takes more memory of a peer that it knows, but none that has changed: it must forget
      // the peer first, while no request is on its way.
      if (!link.beginReload()) {
        outside.onControlAfter(RETRY, () -> reload(link, envelope));
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
      link.setRegions(envelope.regions());
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

  @Override
  public boolean needs(Link link) {
    return false;
  }

  @Override
  public void broke(Link link) {
    asked.values().removeIf(link::equals);
  }
}
