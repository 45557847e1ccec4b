package dev.millrace.transfer.nixl;

import dev.millrace.transfer.NotificationHandler;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Takes notifications from NIXL, keeps what is neither signed nor expected out, and hands the rest
 * to whom it concerns. Belongs to the control thread.
 */
final class Mailbox {
  private static final Logger LOG = LoggerFactory.getLogger(Mailbox.class);

  /** More than any frame has: a description, and what is around it. */
  private static final int MOST_BYTES = 2 * Envelope.MOST_BYTES;

  /** How many senders' last numbers are kept. */
  private static final int MOST_SENDERS = 8192;

  /** What this side says of itself. */
  interface Host {
    /** The memory that can be read now. */
    List<Region> memory();

    /** The description as it is now. */
    byte[] describe();

    /** The application's handler, or null. */
    @Nullable NotificationHandler handler();
  }

  private final Relations relations;
  private final Readers readers;
  private final Self self;
  private final Outside outside;
  private final NixlTransportOptions.EngineNotifications engines;
  private final Counters counters;
  private final Host host;
  private final Map<String, Long> heard = new LinkedHashMap<>();

  Mailbox(
      Relations relations,
      Self self,
      Outside outside,
      NixlTransportOptions.EngineNotifications engines,
      Counters counters,
      Host host) {
    this.relations = relations;
    this.readers = relations.readers();
    this.self = self;
    this.outside = outside;
    this.engines = engines;
    this.counters = counters;
    this.host = host;
  }

  /** Takes what has arrived; false if nothing has. */
  boolean receive() {
    relations.links().sweep();
    if (!outside.deliveries().hasRoom()) {
      return false;
    }
    List<RawNotification> arrived = self.agent().receive(MOST_BYTES, counters::refused);
    for (RawNotification notification : arrived) {
      if (Frame.isFrame(notification.payload())) {
        open(notification);
      } else if (engines == NixlTransportOptions.EngineNotifications.DELIVERED
          && notification.payload().length <= NixlPeer.MOST_PAYLOAD_BYTES) {
        NotificationHandler handler = host.handler();
        if (handler != null) {
          deliver(handler, notification.sender(), notification.payload(), () -> {});
        }
      } else {
        counters.refused();
      }
    }
    return !arrived.isEmpty();
  }

  private void open(RawNotification notification) {
    String sender = notification.sender();
    Optional<Frame.Numbered> opened =
        Frame.open(notification.payload(), sender, self.identity().agentName(), self.secret());
    if (opened.isEmpty() || opened.get().number() <= heard.getOrDefault(sender, 0L)) {
      counters.refused();
      return;
    }
    long number = opened.get().number();
    remember(sender, number);
    try {
      take(sender, number, opened.get().frame());
    } catch (RuntimeException e) {
      // Whatever it was, the messages behind it are others' too.
      LOG.warn("a message of {} could not be followed", sender, e);
    }
  }

  private void remember(String sender, long number) {
    heard.remove(sender);
    heard.put(sender, number);
    if (heard.size() > MOST_SENDERS) {
      Iterator<String> longestSilent = heard.keySet().iterator();
      longestSilent.next();
      longestSilent.remove();
    }
  }

  private void take(String sender, long number, Frame frame) {
    switch (frame) {
      case Frame.Hello(Frame.Body contact) -> {
        if (!readers.greet(sender, contact, number, host.memory())) {
          counters.refused();
        }
      }
      case Frame.Welcome welcome -> relations.introductions().welcomed(sender, welcome);
      case Frame.Ask() -> answer(sender, new Frame.Answer(number, Frame.Body.of(host.describe())));
      case Frame.Answer answer -> relations.refreshes().answered(sender, answer);
      case Frame.Deliver(Frame.Body payload) -> deliver(sender, number, payload);
      case Frame.Confirm confirm -> relations.confirmations().confirmed(sender, confirm);
      case Frame.Revoke(Region region, Frame.Body itsContact) -> {
        Envelope contact = Envelope.open(itsContact.bytes(), self.secret());
        if (contact.agentName().equals(sender)) {
          Links links = relations.links();
          links.revoke(sender, region, () -> links.tell(contact, new Frame.Revoked(region)));
        } else {
          counters.refused();
        }
      }
      case Frame.Revoked(Region region) -> readers.revoked(sender, region);
      case Frame.Closing() -> relations.links().ownerCloses(sender);
      case Frame.Bye() -> readers.bye(sender);
      case Frame.Knock() -> {}
    }
  }

  private void deliver(String sender, long number, Frame.Body payload) {
    Envelope contact = readers.contactOf(sender);
    if (contact == null) {
      counters.refused();
      return;
    }
    NotificationHandler handler = host.handler();
    if (handler == null) {
      answer(sender, new Frame.Confirm(number, Frame.Taken.NOBODY_LISTENS));
      return;
    }
    deliver(
        handler,
        contact.label(),
        payload.bytes(),
        () ->
            outside.onControl(
                () -> answer(sender, new Frame.Confirm(number, Frame.Taken.BY_HANDLER))));
  }

  private void deliver(
      NotificationHandler handler, String sender, byte[] payload, Runnable afterwards) {
    outside
        .deliveries()
        .notification(() -> {
          try {
            handler.onNotification(sender, payload);
          } catch (RuntimeException e) {
            LOG.warn("the handler of notifications failed on one of {}", sender, e);
          }
          afterwards.run();
        });
  }

  private void answer(String reader, Frame frame) {
    Envelope contact = readers.contactOf(reader);
    if (contact != null) {
      relations.links().tell(contact, frame);
    }
  }
}
