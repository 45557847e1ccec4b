package dev.millrace.transfer.agent;

import java.net.InetAddress;
import java.util.function.Predicate;

/**
 * How decode engines reach an agent that stands between them and prefill engines.
 *
 * <p>Neither vLLM's side channel nor NIXL knows authentication: whoever may ask may read what is
 * served.
 *
 * @param host address on which side channels are answered
 * @param advertisedHost where decode engines reach it, {@code remote_host}
 * @param firstPort of those on which it may listen, one for each virtual engine
 * @param lastPort of them
 * @param readers tells the addresses of the decode engines; nobody else is answered
 * @param engineBytes memory that is set aside for each kind of decode engine that is relayed to
 */
public record ServingOptions(
    String host,
    String advertisedHost,
    int firstPort,
    int lastPort,
    Predicate<InetAddress> readers,
    long engineBytes) {
  public ServingOptions {
    if (firstPort < 0 || lastPort > 65535 || firstPort > lastPort || engineBytes < 1) {
      throw new IllegalArgumentException(
          "serving: ports %d to %d (0 to 65535), engineBytes=%d (>= 1)"
              .formatted(firstPort, lastPort, engineBytes));
    }
  }
}
