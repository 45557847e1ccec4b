package dev.millrace.transfer.nixl;

import dev.millrace.transfer.TransferException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/** The application's notifications, until the other end has confirmed them. Control thread. */
final class Confirmations implements Links.User {
  private record Unconfirmed(Link link, CompletableFuture<Boolean> answer) {}

  private final Links links;
  private final Outside outside;
  private final Map<Long, Unconfirmed> unconfirmed = new HashMap<>();

  Confirmations(Links links, Outside outside) {
    this.links = links;
    this.outside = outside;
    links.add(this);
  }

  /**
   * Sends a notification; {@code answer} completes when it is confirmed, which engines do not do.
   */
  void send(Link link, byte[] payload, CompletableFuture<Boolean> answer) {
    switch (link.language()) {
      case ENGINE -> {
        if (links.sendBytes(link, payload)) {
          outside.complete(() -> answer.complete(true));
        } else {
          fail(link, answer);
        }
      }
      case FRAMES -> {
        long id = links.send(link, new Frame.Deliver(Frame.Body.of(payload)));
        if (id > 0) {
          unconfirmed.put(id, new Unconfirmed(link, answer));
          var _ = answer.whenComplete((_, _) -> outside.onControl(() -> unconfirmed.remove(id)));
        } else {
          fail(link, answer);
        }
      }
    }
  }

  private void fail(Link link, CompletableFuture<Boolean> answer) {
    String broken = link.broken();
    TransferException lost =
        new TransferException(
            broken == null
                ? "the link to %s was closed".formatted(link.label())
                : "the link to %s broke (%s): get a fresh description and connect again"
                    .formatted(link.label(), broken));
    outside.complete(() -> answer.completeExceptionally(lost));
  }

  /** The other end has got a notification. */
  void confirmed(String sender, Frame.Confirm confirm) {
    Unconfirmed waiting = unconfirmed.get(confirm.answers());
    if (waiting == null || !waiting.link().agentName().equals(sender)) {
      return;
    }
    unconfirmed.remove(confirm.answers());
    outside.complete(() -> {
      switch (confirm.taken()) {
        case BY_HANDLER -> waiting.answer().complete(true);
        case NOBODY_LISTENS ->
            waiting
                .answer()
                .completeExceptionally(new TransferException(sender + " takes no notifications"));
      }
    });
  }

  @Override
  public boolean needs(Link link) {
    return false;
  }

  @Override
  public void broke(Link link) {
    List<Unconfirmed> lost =
        unconfirmed.values().stream().filter(waiting -> waiting.link().equals(link)).toList();
    unconfirmed.values().removeAll(lost);
    lost.forEach(waiting -> fail(link, waiting.answer()));
  }
}
