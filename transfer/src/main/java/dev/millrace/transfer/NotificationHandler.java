package dev.millrace.transfer;

/**
 * Takes notifications from peers. Called on a thread of the transport; must return quickly and not
 * throw.
 */
@FunctionalInterface
public interface NotificationHandler {
  /**
   * Takes one notification.
   *
   * @param peer the sender's name for itself
   * @param payload the bytes that it sent
   */
  void onNotification(String peer, byte[] payload);
}
