package dev.millrace.simulator.connector;

import dev.millrace.simulator.core.Counters;
import dev.millrace.simulator.core.TransferParams.RemotePrefill;
import io.vertx.core.Context;
import io.vertx.core.Future;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * What a decode engine tells prefill engines: that it still wants blocks, and that it is done with
 * them. Belongs to the engine's event loop.
 */
final class Notifier {
  private static final Duration DEADLINE = Duration.ofSeconds(5);

  private final int ownRanks;
  private final Introductions introductions;
  private final Context context;
  private final Counters counters;
  private final Map<String, RemotePrefill> expected = new HashMap<>();

  Notifier(int ownRanks, Introductions introductions, Context context, Counters counters) {
    this.ownRanks = ownRanks;
    this.introductions = introductions;
    this.context = context;
    this.counters = counters;
  }

  /** Begins to ask for these blocks to stay pinned. */
  void expect(RemotePrefill remote) {
    expected.put(remote.requestId(), remote);
  }

  /** Ends it. */
  void forget(RemotePrefill remote) {
    expected.remove(remote.requestId());
  }

  /** One heartbeat to every engine whose blocks are expected and that has been met. */
  void beat() {
    Map<String, StringBuilder> messages = new HashMap<>();
    Map<String, RemotePrefill> engines = new HashMap<>();
    for (RemotePrefill remote : expected.values()) {
      StringBuilder message =
          messages.computeIfAbsent(remote.engineId(), id -> new StringBuilder("HB:"));
      message.append(message.length() == 3 ? "" : ",").append(remote.requestId());
      engines.put(remote.engineId(), remote);
    }
    engines.forEach((engineId, remote) -> {
      Future<RemoteEngine> meeting = introductions.meet(remote);
      // The first beat only starts the handshake, as vLLM's does.
      if (meeting.succeeded() && meeting.result().release().hasHeartbeats()) {
        RemoteEngine engine = meeting.result();
        String message = String.valueOf(messages.get(engineId));
        for (int rank = 0; rank < engine.ranks(); rank++) {
          send(engine, 0, rank, message);
        }
      }
    });
  }

  /** Tells all ranks of the prefill engine that this engine is done with these blocks. */
  void done(RemoteEngine engine, RemotePrefill remote) {
    forget(remote);
    List<Readers.Notice> notices = Readers.notices(ownRanks, engine.ranks(), engine.release());
    for (Readers.Notice notice : notices) {
      send(
          engine,
          notice.decodeRank(),
          notice.prefillRank(),
          remote.requestId() + ":" + notice.said());
    }
  }

  /** The same for blocks that were never read; the engine may have to be met first. */
  void release(RemotePrefill remote) {
    forget(remote);
    introductions
        .meet(remote)
        .onSuccess(engine -> done(engine, remote))
        .onFailure(error -> counters.failedNotifications.incrementAndGet());
  }

  private void send(RemoteEngine engine, int ownRank, int remoteRank, String message) {
    byte[] payload = message.getBytes(StandardCharsets.UTF_8);
    engine
        .peer(ownRank, remoteRank)
        .compose(peer -> Future.fromCompletionStage(peer.notify(payload, DEADLINE), context))
        .onFailure(error -> counters.failedNotifications.incrementAndGet());
  }
}
