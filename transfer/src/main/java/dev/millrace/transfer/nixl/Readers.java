package dev.millrace.transfer.nixl;

import dev.millrace.transfer.TransferException;
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
final class Readers {
  /** Readers are authenticated, so this bounds mistakes and not malice. */
  private static final int MOST_READERS = 4096;

  /** Memory that is wanted back, and the readers that have not let go of it. */
  private record Revocation(
      Region region, Set<String> waitingFor, CompletableFuture<Boolean> done) {}

  private final Links links;
  private final Links.Self self;
  private final Links.Outside outside;
  private final Map<String, Envelope> readers = new HashMap<>();
  private final List<Revocation> revocations = new ArrayList<>();
  private final Set<CompletableFuture<Boolean>> waitingForNone = new HashSet<>();

  Readers(Links links, Links.Self self, Links.Outside outside) {
    this.links = links;
    this.self = self;
    this.outside = outside;
    links.keepThoseOf(readers::containsKey);
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
    if (links.tell(contact, new Frame.Welcome(hello, memory)) == Links.Told.GONE) {
      bye(sender);
    }
    return true;
  }

  /** A reader leaves, or has gone. */
  void bye(String reader) {
    readers.remove(reader);
    for (Revocation revocation : List.copyOf(revocations)) {
      revocation.waitingFor().remove(reader);
      completeIfFree(revocation);
    }
    completeIfNone();
  }

  /** Asks all readers to let go of memory; completes when they have, or are gone. */
  void revoke(Region region, CompletableFuture<Boolean> done) {
    Revocation revocation = new Revocation(region, new HashSet<>(readers.keySet()), done);
    revocations.add(revocation);
    ask(revocation);
  }

  private void ask(Revocation revocation) {
    if (revocation.done().isDone()) {
      revocations.remove(revocation);
      return;
    }
    Frame revoke = new Frame.Revoke(revocation.region(), links.contact());
    for (String reader : List.copyOf(revocation.waitingFor())) {
      Envelope contact = readers.get(reader);
      if (contact == null || links.tell(contact, revoke) == Links.Told.GONE) {
        bye(reader);
      }
    }
    completeIfFree(revocation);
    if (!revocation.done().isDone()) {
      later(() -> ask(revocation));
    }
  }

  private void completeIfFree(Revocation revocation) {
    if (revocation.waitingFor().isEmpty()) {
      revocations.remove(revocation);
      revocation.done().complete(true);
    }
  }

  /** A reader has let go of memory. */
  void revoked(String reader, Region region) {
    for (Revocation revocation : List.copyOf(revocations)) {
      if (revocation.region().equals(region)) {
        revocation.waitingFor().remove(reader);
        completeIfFree(revocation);
      }
    }
  }

  /** Readers that have not let go of the memory. */
  Set<String> holdersOf(Region region) {
    Set<String> holders = new HashSet<>();
    for (Revocation revocation : revocations) {
      if (revocation.region().equals(region)) {
        holders.addAll(revocation.waitingFor());
      }
    }
    return holders;
  }

  /** Tells all readers that this agent ends; completes when all have let go of it. */
  void close(CompletableFuture<Boolean> done) {
    if (done.isDone()) {
      return;
    }
    waitingForNone.add(done);
    for (Envelope contact : List.copyOf(readers.values())) {
      if (links.tell(contact, new Frame.Closing()) == Links.Told.GONE) {
        bye(contact.agentName());
      }
    }
    completeIfNone();
    later(() -> close(done));
  }

  /** A reader that has died is noticed by the second or third attempt to reach it. */
  private void later(Runnable attempt) {
    outside.timers().after(Links.RETRY.multipliedBy(3), () -> outside.control().submit(attempt));
  }

  private void completeIfNone() {
    if (readers.isEmpty()) {
      waitingForNone.forEach(done -> done.complete(true));
    }
  }
}
