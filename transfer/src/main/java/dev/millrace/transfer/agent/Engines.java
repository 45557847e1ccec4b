package dev.millrace.transfer.agent;

import dev.millrace.layout.Geometry;
import dev.millrace.layout.IncompatibleGeometry;
import dev.millrace.layout.Parallelism;
import dev.millrace.transfer.sidechannel.AgentMetadata;
import dev.millrace.transfer.sidechannel.EngineGeometry;
import dev.millrace.transfer.sidechannel.Handshake;
import dev.millrace.transfer.sidechannel.HandshakeCodec;
import dev.millrace.transfer.sidechannel.MalformedHandshake;
import dev.millrace.transfer.sidechannel.RankId;
import dev.millrace.transfer.sidechannel.SideChannelClient;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The engines that have been met. Each side channel is asked once, however many calls name it, and
 * again when another engine id is expected there: an engine that starts anew has a new one.
 *
 * <p>A request's number of ranks is not trusted. vLLM's listener ends for good when it is asked for
 * a rank that it does not have (v0.32.0), so rank (0, 0) is asked first, and the others only if its
 * block lengths are those of an engine with so many ranks.
 */
final class Engines implements AutoCloseable {
  private final AgentOptions options;
  private final AgentTransport transport;
  private final SideChannelClient client = new SideChannelClient();
  private final Map<String, CompletableFuture<KnownEngine>> known = new ConcurrentHashMap<>();

  Engines(AgentOptions options, AgentTransport transport) {
    this.options = options;
    this.transport = transport;
  }

  /** The engine, met now or before. */
  KnownEngine meet(RemoteEngine engine, Deadline deadline) {
    AgentOptions.SideChannel channel = listed(engine);
    String key = engine.sideChannel();
    CompletableFuture<KnownEngine> mine = new CompletableFuture<>();
    while (true) {
      CompletableFuture<KnownEngine> present = known.putIfAbsent(key, mine);
      if (present == null) {
        return introduce(key, mine, engine, channel, deadline);
      }
      KnownEngine met = deadline.await(present, Reason.UNREACHABLE, "the handshake");
      if (met.engine().equals(engine)) {
        return met;
      }
      // Either the engine has been started anew, or the caller's hand-off is of an earlier one, for
      // which nothing of the present one must end. The side channel knows.
      KnownEngine newer = ask(engine, channel, deadline);
      if (known.replace(key, present, CompletableFuture.completedFuture(newer))) {
        met.close();
        return newer;
      }
      newer.close();
    }
  }

  /** A decode engine, met now or before. One whose id is not said is asked for it. */
  KnownEngine meet(Reader reader, Deadline deadline) {
    Optional<String> said = reader.engineId();
    return meet(reader.named(said.orElseGet(() -> idOf(reader, deadline))), deadline);
  }

  private String idOf(Reader reader, Deadline deadline) {
    RemoteEngine nameless = reader.named("?");
    AgentOptions.SideChannel channel = listed(nameless);
    try {
      Handshake handshake =
          deadline.await(
              question(nameless, channel, new RankId(0, 0), deadline),
              Reason.UNREACHABLE,
              "the handshake");
      return HandshakeCodec.decodeMetadata(handshake.metadata(), channel.version()).engineId();
    } catch (MalformedHandshake e) {
      throw new AgentRefusal(
          Reason.MISMATCH,
          "the engine at %s: %s".formatted(nameless.sideChannel(), e.getMessage()));
    }
  }

  private KnownEngine introduce(
      String key,
      CompletableFuture<KnownEngine> mine,
      RemoteEngine engine,
      AgentOptions.SideChannel channel,
      Deadline deadline) {
    try {
      KnownEngine met = ask(engine, channel, deadline);
      mine.complete(met);
      return met;
    } catch (RuntimeException | OutOfMemoryError e) {
      // Whatever it was: who comes next must ask again, and who waits must not wait for it.
      known.remove(key, mine);
      mine.completeExceptionally(e);
      throw e;
    }
  }

  /** Asks again next time: connections to it were lost. */
  void forget(KnownEngine engine) {
    String key = engine.engine().sideChannel();
    CompletableFuture<KnownEngine> present = known.get(key);
    if (present != null && present.isDone() && !present.isCompletedExceptionally()) {
      if (present.join() == engine && known.remove(key, present)) {
        engine.close();
      }
    }
  }

  private AgentOptions.SideChannel listed(RemoteEngine engine) {
    Optional<AgentOptions.SideChannel> found =
        options.sideChannels().stream()
            .filter(each -> each.port() == engine.port() && each.host().equals(engine.host()))
            .findFirst();
    return found.orElseThrow(() ->
        new AgentRefusal(
            Reason.NOT_ALLOWED,
            "the side channel %s is not listed; add it to side-channels in the agent's configuration if it is one of yours"
                .formatted(engine.sideChannel())));
  }

  private KnownEngine ask(
      RemoteEngine engine, AgentOptions.SideChannel channel, Deadline deadline) {
    try {
      Map<RankId, AgentMetadata> ranks = new HashMap<>();
      RankId first = new RankId(0, 0);
      Handshake handshake =
          deadline.await(
              question(engine, channel, first, deadline), Reason.UNREACHABLE, "the handshake");
      AgentMetadata metadata =
          HandshakeCodec.decodeMetadata(handshake.metadata(), channel.version());
      requireEngine(engine, metadata);
      EngineGeometry.requireFits(
          channel.shape(),
          new Parallelism(engine.tensorParallel(), engine.pipelineParallel(), 1),
          first,
          metadata,
          channel.version());
      ranks.put(first, metadata);
      Map<RankId, CompletableFuture<Handshake>> asked = new HashMap<>();
      for (RankId rank : others(engine)) {
        asked.put(rank, question(engine, channel, rank, deadline));
      }
      asked.forEach((rank, answer) -> {
        AgentMetadata other =
            HandshakeCodec.decodeMetadata(
                deadline.await(answer, Reason.UNREACHABLE, "the handshake").metadata(),
                channel.version());
        requireEngine(engine, other);
        ranks.put(rank, other);
      });
      Geometry geometry = EngineGeometry.of(channel.shape(), ranks, channel.version());
      return new KnownEngine(
          engine, channel, geometry, ranks, handshake.compatibilityHash(), transport);
    } catch (IncompatibleGeometry | MalformedHandshake | IllegalArgumentException e) {
      throw new AgentRefusal(
          Reason.MISMATCH, "the engine at %s: %s".formatted(engine.sideChannel(), e.getMessage()));
    }
  }

  private CompletableFuture<Handshake> question(
      RemoteEngine engine, AgentOptions.SideChannel channel, RankId rank, Deadline deadline) {
    return client.ask(
        engine.host(), engine.port(), rank, channel.version(), deadline.left(options.shortCall()));
  }

  private static List<RankId> others(RemoteEngine engine) {
    List<RankId> others = new ArrayList<>();
    for (int p = 0; p < engine.pipelineParallel(); p++) {
      for (int t = 0; t < engine.tensorParallel(); t++) {
        if (p + t > 0) {
          others.add(new RankId(p, t));
        }
      }
    }
    return others;
  }

  private static void requireEngine(RemoteEngine engine, AgentMetadata metadata) {
    if (!metadata.engineId().equals(engine.engineId())) {
      throw new AgentRefusal(
          Reason.MISMATCH,
          "engine %s is expected at %s, but %s answers there; has it been started anew?"
              .formatted(engine.engineId(), engine.sideChannel(), metadata.engineId()));
    }
  }

  @Override
  public void close() {
    client.close();
    known
        .values()
        .forEach(each -> {
          if (each.isDone() && !each.isCompletedExceptionally()) {
            each.join().close();
          }
        });
    known.clear();
  }
}
