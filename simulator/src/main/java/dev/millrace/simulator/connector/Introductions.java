package dev.millrace.simulator.connector;

import dev.millrace.simulator.core.TransferParams.RemotePrefill;
import io.vertx.core.Future;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;

/**
 * Remembers the engines that this one has met. A prefill engine is asked once, however many
 * requests name it; a handshake that failed is tried again by the next request, without a pause, as
 * vLLM does (0.32.0). Belongs to the engine's event loop.
 */
final class Introductions {
  private final Function<RemotePrefill, Future<RemoteEngine>> handshake;
  private final Map<String, Future<RemoteEngine>> engines = new HashMap<>();

  Introductions(Function<RemotePrefill, Future<RemoteEngine>> handshake) {
    this.handshake = handshake;
  }

  /** The engine that holds these blocks. */
  Future<RemoteEngine> meet(RemotePrefill remote) {
    Future<RemoteEngine> present = engines.get(remote.engineId());
    if (present != null && !present.failed()) {
      return present;
    }
    Future<RemoteEngine> meeting = handshake.apply(remote);
    engines.put(remote.engineId(), meeting);
    return meeting;
  }

  /** Those that have answered. */
  Collection<RemoteEngine> met() {
    List<Future<RemoteEngine>> all = List.copyOf(engines.values());
    return all.stream()
        .filter(Future::succeeded)
        .map(Future::result)
        .filter(Objects::nonNull)
        .toList();
  }
}
