package dev.millrace.transfer.nixl;

import java.time.Duration;

/**
 * Bounds of a {@link NixlTransport}.
 *
 * @param transferThreads threads that post and poll reads. Posting copies all bytes where the peer
 *     is on this host, so this is how many reads progress at once there
 * @param readsAtOnce reads that one of these threads works on; further ones wait
 * @param readsWaiting reads that wait for one of these threads; further ones fail as overloaded
 * @param requestsAtOnce requests in flight per read
 * @param descriptorsPerRequest descriptors of a request
 * @param bytesPerRequest bytes of a request; also bounds how long posting blocks its thread
 * @param undelivered notifications that wait for the handler; while there are more, none is taken
 *     from NIXL
 * @param closing how long closing a registration waits for requests and peers that use its memory,
 *     before it refuses; and closing the transport for its peers
 */
public record NixlLimits(
    int transferThreads,
    int readsAtOnce,
    int readsWaiting,
    int requestsAtOnce,
    int descriptorsPerRequest,
    long bytesPerRequest,
    int undelivered,
    Duration closing) {

  /** For a host with a few cores. */
  public static final NixlLimits DEFAULT =
      new NixlLimits(2, 8, 1024, 4, 1024, 4L << 20, 4096, Duration.ofSeconds(10));

  public NixlLimits {
    atLeastOne("transfer threads", transferThreads);
    atLeastOne("reads at once", readsAtOnce);
    atLeastOne("reads waiting", readsWaiting);
    atLeastOne("requests at once", requestsAtOnce);
    atLeastOne("descriptors per request", descriptorsPerRequest);
    atLeastOne("bytes per request", bytesPerRequest);
    atLeastOne("undelivered notifications", undelivered);
    atLeastOne("nanoseconds for closing", closing.toNanos());
  }

  private static void atLeastOne(String what, long number) {
    if (number < 1) {
      throw new IllegalArgumentException(what + ": " + number + " (at least 1)");
    }
  }

  /** The same, closing registrations with this patience. */
  public NixlLimits withClosing(Duration patience) {
    return new NixlLimits(
        transferThreads,
        readsAtOnce,
        readsWaiting,
        requestsAtOnce,
        descriptorsPerRequest,
        bytesPerRequest,
        undelivered,
        patience);
  }
}
