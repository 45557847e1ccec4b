package dev.millrace.simulator.connector;

import dev.millrace.simulator.core.TransferParams.RemotePrefill;
import io.vertx.core.Future;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Function;

/**
 * Remembers the engines that this one has met. A prefill engine is asked once, however many
 * requests name it; a handshake that failed is forgotten and tried again by the next request,
 * without a pause, as vLLM does (0.32.0). At each address there is one engine: who is met there
 * next takes its place. Belongs to the engine's event loop.
 */
final class Introductions {
  private final Function<RemotePrefill, Future<RemoteEngine>> handshake;
  private final Consumer<RemoteEngine> onReplaced;
  private final Map<String, Future<RemoteEngine>> engines = new HashMap<>();
  private final Map<String, RemoteEngine> byAddress = new HashMap<>();

  /**
   * Nobody has been met.
   *
   * @param onReplaced takes an engine that is not there any more
   */
  Introductions(
      Function<RemotePrefill, Future<RemoteEngine>> handshake, Consumer<RemoteEngine> onReplaced) {
    this.handshake = handshake;
    this.onReplaced = onReplaced;
  }

  /** The engine that holds these blocks. */
  Future<RemoteEngine> meet(RemotePrefill remote) {
    Future<RemoteEngine> present = engines.get(remote.engineId());
    if (present != null) {
      return present;
    }
    Future<RemoteEngine> meeting = handshake.apply(remote);
    engines.put(remote.engineId(), meeting);
    return meeting
        .onSuccess(engine -> met(remote, engine))
        .onFailure(error -> engines.remove(remote.engineId(), meeting));
  }

  private void met(RemotePrefill remote, RemoteEngine engine) {
    RemoteEngine before = byAddress.put(remote.host() + ":" + remote.port(), engine);
    if (before != null) {
      engines.remove(before.engineId());
      onReplaced.accept(before);
    }
  }
}
