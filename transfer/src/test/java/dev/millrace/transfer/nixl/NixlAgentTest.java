package dev.millrace.transfer.nixl;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.BlockTable;
import dev.millrace.layout.ElementType;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.Parallelism;
import dev.millrace.transfer.agent.AgentOptions;
import dev.millrace.transfer.agent.Elements;
import dev.millrace.transfer.agent.HandOff;
import dev.millrace.transfer.agent.HeldCopy;
import dev.millrace.transfer.agent.KvAgent;
import dev.millrace.transfer.agent.LocalEngine;
import dev.millrace.transfer.agent.ReadEvent;
import dev.millrace.transfer.agent.ReadOrder;
import dev.millrace.transfer.agent.TargetShape;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The agent over NIXL, against engines that describe themselves as Millrace's or as vLLM's do. */
@NixlInstalled
class NixlAgentTest {
  private static final Duration LONG = Duration.ofSeconds(20);
  private static final GeometrySpec SPEC =
      new GeometrySpec(
          ModelShape.dense(3, 4, 16, ElementType.BFLOAT16),
          Parallelism.tensor(2),
          16,
          Layout.HND,
          64);

  enum Description {
    SIGNED_ENVELOPE,
    RAW_METADATA
  }

  @ParameterizedTest
  @EnumSource
  void read_thenRelease_bringsEveryElementAndTellsEveryRank(Description description)
      throws InterruptedException {
    Deque<NixlTransport> described = new ArrayDeque<>();
    UnaryOperator<byte[]> raw =
        envelope ->
            switch (description) {
              case SIGNED_ENVELOPE -> envelope;
              case RAW_METADATA -> described.remove().engineMetadata();
            };
    Optional<String> version =
        switch (description) {
          case SIGNED_ENVELOPE -> Optional.empty();
          case RAW_METADATA -> Optional.of(NixlInstalled.Library.present().version());
        };
    try (LocalEngine engine =
        new LocalEngine(
            "engine-1",
            SPEC,
            raw,
            name -> {
              NixlTransport transport = engineTransport(name);
              described.add(transport);
              return transport;
            })) {
      AgentOptions.SideChannel listed = engine.listing();
      AgentOptions.SideChannel channel =
          new AgentOptions.SideChannel(
              listed.host(),
              listed.port(),
              listed.model(),
              listed.shape(),
              listed.version(),
              version);
      try (KvAgent agent =
          KvAgent.start(
              new AgentOptions(
                  List.of(channel), 4 << 20, 1 << 20, Duration.ofSeconds(60), LONG, LONG, 4),
              new NixlAgentTransport(
                  NixlTransport.open(
                      NixlInstalled.Library.present(),
                      NixlTransportOptions.named("agent", NixlTransportTest.SECRET))),
              InstantSource.system(),
              System::nanoTime)) {
        HandOff handOff = engine.handOff("cmpl-1", 40, List.of(9, 2, 30));
        CompletableFuture<ReadEvent> last = new CompletableFuture<>();
        var _ =
            agent.read(
                new ReadOrder(
                    handOff,
                    source -> new TargetShape(1, 32, Layout.NHD),
                    0,
                    LONG,
                    ReadOrder.AfterRead.KEEP),
                event -> {
                  if (event instanceof ReadEvent.Done || event instanceof ReadEvent.Failed) {
                    last.complete(event);
                  }
                });
        ReadEvent end = last.orTimeout(30, TimeUnit.SECONDS).join();

        assertThat(end).isInstanceOf(ReadEvent.Done.class);
        HeldCopy copy = agent.copy(((ReadEvent.Done) end).copyId()).orElseThrow();
        requireEqual(engine, copy);
        assertThat(
                agent
                    .release(handOff, Set.of(KvAgent.Holder.values()), Optional.empty())
                    .join()
                    .ranks())
            .isEqualTo(2);
        long limit = System.nanoTime() + LONG.toNanos();
        while (engine.heard.size() < 2) {
          assertThat(System.nanoTime()).isLessThan(limit);
          Thread.sleep(5);
        }
        assertThat(engine.heard).containsExactlyInAnyOrder("0 cmpl-1:1", "1 cmpl-1:1");
      }
    }
  }

  private static NixlTransport engineTransport(String name) {
    return NixlTransport.open(
        NixlInstalled.Library.present(),
        NixlTransportOptions.named(name, NixlTransportTest.SECRET)
            .with(NixlTransportOptions.EngineNotifications.DELIVERED));
  }

  private static void requireEqual(LocalEngine engine, HeldCopy copy) {
    Elements there =
        new Elements(
            engine.geometry(), BlockTable.of(9, 2, 30), rank -> engine.memory(rank.tensor()));
    Elements here = new Elements(copy.geometry(), copy.tables().getFirst(), rank -> copy.memory());
    for (int token = 0; token < 40; token++) {
      for (int layer = 0; layer < 3; layer++) {
        for (int head = 0; head < 4; head++) {
          for (int dim = 0; dim < 32; dim++) {
            assertThat(here.at(layer, dim / 16, head, token, dim % 16))
                .isEqualTo(there.at(layer, dim / 16, head, token, dim % 16));
          }
        }
      }
    }
  }
}
