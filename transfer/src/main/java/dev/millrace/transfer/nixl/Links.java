package dev.millrace.transfer.nixl;

import dev.millrace.transfer.TransferException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The agents that this one has loaded, and what is sent to them. All of it belongs to the control
 * thread.
 *
 * <p>There is one way to deal with an error. The link is broken from then on and takes no new
 * requests; when NIXL has ended those it has, the metadata is invalidated; whoever wants to go on
 * gets a fresh description and connects again. Nothing is concluded from the kind of error, as NIXL
 * has only one.
 */
final class Links {
  private static final Logger LOG = LoggerFactory.getLogger(Links.class);

  /** Somebody who waits for the other end of links. */
  interface User {
    /** Whether the link must be kept though no peer of it is in use. */
    boolean needs(Link link);

    /** The link is broken: nothing will come over it any more. */
    void broke(Link link);
  }

  private final Self self;
  private final Outside outside;
  private final Frame.Body contact;
  private final Map<String, Link> links = new HashMap<>();
  private final List<User> users = new ArrayList<>();
  private long number;

  Links(Self self, Outside outside) {
    this.self = self;
    this.outside = outside;
    this.contact =
        Frame.Body.of(
            new Envelope(self.identity(), List.of(), self.agent().contact()).seal(self.secret()));
  }

  /** From now on {@code user} is asked and told. */
  void add(User user) {
    users.add(user);
  }

  /** How others reach this agent, signed. */
  Frame.Body contact() {
    return contact;
  }

  /** The link to an agent, broken or not, or null. */
  @Nullable Link to(String agentName) {
    return links.get(agentName);
  }

  /** Whether NIXL has requests of a broken link to this agent: it cannot be replaced then. */
  boolean isInQuarantine(String agentName) {
    Link known = links.get(agentName);
    return known != null && known.broken() != null && known.requests() > 0;
  }

  /**
   * Lets NIXL know an agent, or more of one that it knows. Not for one in quarantine.
   *
   * @throws NixlFailure if NIXL refuses it
   * @throws TransferException if it is another agent
   */
  Link load(Link.Target target, byte[] metadata) {
    Link known = links.get(target.agentName());
    if (known != null && known.broken() != null) {
      forget(known);
      known = null;
    }
    if (known != null && known.language() != target.language()) {
      throw new TransferException(
          "agent %s is connected already, as %s and not as %s"
              .formatted(target.agentName(), known.language(), target.language()));
    }
    String loaded = self.agent().load(metadata);
    if (!loaded.equals(target.agentName())) {
      self.agent().invalidate(Link.cString(loaded));
      throw new TransferException(
          "its metadata is that of another agent, \"%s\" and not \"%s\""
              .formatted(loaded, target.agentName()));
    }
    if (known != null) {
      return known;
    }
    Link link = new Link(target);
    links.put(target.agentName(), link);
    return link;
  }

  // Telling

  /** Sends a frame; its number, or 0 if the link is broken. */
  long send(Link link, Frame frame) {
    long id = ++number;
    return sendBytes(link, self.seal(new Frame.Numbered(id, frame), link.agentName())) ? id : 0;
  }

  /** Sends bytes as they are; false if the link is broken. */
  boolean sendBytes(Link link, byte[] bytes) {
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
      if (isInQuarantine(itsContact.agentName())) {
        return Told.NOT_NOW;
      }
      try {
        Link link = links.get(itsContact.agentName());
        if (link == null || link.broken() != null) {
          link = load(Link.Target.transport(itsContact), itsContact.metadata());
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

  // Owners that take memory back

  /** An owner wants memory back. Runs {@code released} when nothing here reads it any more. */
  void revoke(String owner, Region region, Runnable released) {
    Link link = links.get(owner);
    Claims busy = link == null ? null : link.revoke(region);
    if (busy == null) {
      released.run();
    } else {
      // The last claim may be let go of by a transfer thread.
      busy.closeThen(() -> outside.onControl(() -> revoke(owner, region, released)));
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
        users.forEach(user -> user.broke(link));
      }
      if ((link.broken() != null || isUnused(link)) && link.retire()) {
        sayBye(link);
        forget(link);
      }
    }
  }

  private boolean isUnused(Link link) {
    return link.peers().isEmpty() && users.stream().noneMatch(user -> user.needs(link));
  }

  private void forget(Link link) {
    users.forEach(user -> user.broke(link));
    links.remove(link.agentName(), link);
    self.agent().invalidate(link.cName());
  }

  /** Tells one whose memory was read here that this is over, even if the link is broken. */
  private void sayBye(Link link) {
    if (link.isWelcome()) {
      byte[] sealed = self.seal(new Frame.Numbered(++number, new Frame.Bye()), link.agentName());
      int status = self.agent().send(link.cName(), sealed);
      LOG.debug("bye to {}: {}", link.label(), status);
    }
  }

  /** Tells all whose memory was read here that it is over. */
  void goodbye() {
    links.values().forEach(this::sayBye);
  }
}
