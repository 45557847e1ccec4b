package dev.millrace.transfer.nixl;

import dev.millrace.transfer.TransferException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * Those who read this agent's memory. NIXL does not tell an owner who they are, and cannot take
 * memory back from them, and an owner whose memory is freed under a read crashes. So readers
 * introduce themselves before their first read, let go of memory when they are asked to, and say
 * when they leave. All of it belongs to the control thread.
 */
final class Readers implements Links.User {
  /** Readers are authenticated, so this bounds mistakes and not malice. */
  private static final int MOST_READERS = 4096;

  /** A reader that has died is noticed by the second or third attempt to reach it. */
  private static final Duration RETRY = Duration.ofMillis(60);

  /** Memory that is wanted back, and the readers that have not let go of it. */
  static final class Revocation {
    private final Region region;
    private final Set<String> waitingFor = new HashSet<>();
    private final CompletableFuture<Boolean> done = new CompletableFuture<>();

    Revocation(Region region) {
      this.region = region;
    }

    /** Completes when nobody reads the memory any more. */
    CompletableFuture<Boolean> done() {
      return done;
    }
  }

  private final Links links;
  private final Self self;
  private final Outside outside;
  private final Duration visits;
  private final Map<String, Envelope> readers = new HashMap<>();
  private volatile int count;
  private final List<Revocation> revocations = new ArrayList<>();
  private final Set<CompletableFuture<Boolean>> waitingForNone = new HashSet<>();

  /**
   * No readers yet.
   *
   * @param visits how often those that nobody talks to are tried
   */
  Readers(Links links, Self self, Outside outside, Duration visits) {
    this.links = links;
    this.self = self;
    this.outside = outside;
    this.visits = visits;
    links.add(this);
    outside.onControlAfter(visits, this::visit);
  }

  /** Finds those that are gone without a word: whoever kills a process sends no farewell. */
  private void visit() {
    tellAll(new Frame.Knock());
    outside.onControlAfter(visits, this::visit);
  }

  private void tellAll(Frame frame) {
    for (Envelope contact : List.copyOf(readers.values())) {
      if (links.tell(contact, frame) == Links.Told.GONE) {
        bye(contact.agentName());
      }
    }
  }

  /** How many there are. From any thread. */
  int count() {
    return count;
  }

  @Override
  public boolean needs(Link link) {
    return readers.containsKey(link.agentName());
  }

  @Override
  public void broke(Link link) {
    // Not yet that the reader is gone: the next attempt to reach it makes a new link.
  }

  /** How to reach a reader, or null if the name is not one's. */
  @Nullable Envelope contactOf(String reader) {
    return readers.get(reader);
  }

  /** A reader introduces itself; false if it must not. */
  boolean greet(String sender, Frame.Body itsContact, long hello, List<Region> memory) {
    if (readers.size() >= MOST_READERS && !readers.containsKey(sender)) {
      return false;
    }
    Envelope contact;
    try {
      contact = Envelope.open(itsContact.bytes(), self.secret());
    } catch (TransferException e) {
      return false;
    }
    if (!contact.agentName().equals(sender)
        || VersionPairs.refuse(self.identity().nixlVersion(), contact.nixlVersion()).isPresent()) {
      return false;
    }
    // Known as a reader before the answer leaves: from then on it may read.
    readers.put(sender, contact);
    count = readers.size();
    if (links.tell(contact, new Frame.Welcome(hello, memory)) == Links.Told.GONE) {
      bye(sender);
    }
    return true;
  }

  /** A reader leaves, or has gone. */
  void bye(String reader) {
    readers.remove(reader);
    count = readers.size();
    for (Revocation revocation : List.copyOf(revocations)) {
      revocation.waitingFor.remove(reader);
      completeIfFree(revocation);
    }
    completeIfNone();
  }

  /** Asks all readers to let go of memory, again and again. */
  void revoke(Revocation revocation) {
    revocation.waitingFor.addAll(readers.keySet());
    revocations.add(revocation);
    ask(revocation);
  }

  private void ask(Revocation revocation) {
    if (!revocations.contains(revocation)) {
      return;
    }
    Frame revoke = new Frame.Revoke(revocation.region, links.contact());
    for (String reader : List.copyOf(revocation.waitingFor)) {
      Envelope contact = readers.get(reader);
      if (contact == null || links.tell(contact, revoke) == Links.Told.GONE) {
        bye(reader);
      }
    }
    completeIfFree(revocation);
    if (!revocation.done.isDone()) {
      outside.onControlAfter(RETRY, () -> ask(revocation));
    }
  }

  /** Asks no longer. Gives the readers that have not let go; none if all have. */
  Set<String> giveUp(Revocation revocation) {
    revocations.remove(revocation);
    return Set.copyOf(revocation.waitingFor);
  }

  private void completeIfFree(Revocation revocation) {
    if (revocation.waitingFor.isEmpty()) {
      revocations.remove(revocation);
      revocation.done.complete(true);
    }
  }

  /** A reader has let go of memory. */
  void revoked(String reader, Region region) {
    for (Revocation revocation : List.copyOf(revocations)) {
      if (revocation.region.equals(region)) {
        revocation.waitingFor.remove(reader);
        completeIfFree(revocation);
      }
    }
  }

  /** Tells all readers that this agent ends; completes when all have let go of it. */
  void close(CompletableFuture<Boolean> done) {
    if (done.isDone()) {
      return;
    }
    waitingForNone.add(done);
    tellAll(new Frame.Closing());
    completeIfNone();
    outside.onControlAfter(RETRY, () -> close(done));
  }

  private void completeIfNone() {
    if (readers.isEmpty()) {
      waitingForNone.forEach(done -> done.complete(true));
    }
  }
}
