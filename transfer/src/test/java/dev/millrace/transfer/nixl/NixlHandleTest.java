package dev.millrace.transfer.nixl;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.transfer.Signals;
import dev.millrace.transfer.TransferException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** Every call that is known to end a process when it is made with a dead pointer is not made. */
@NixlInstalled
class NixlHandleTest {
  private static AgentHandle agent(String name) {
    return AgentHandle.open(NixlInstalled.Library.present(), name + UUID.randomUUID(), 1);
  }

  /** An agent that knows another one, with memory on both sides. */
  record Two(AgentHandle reader, AgentHandle owner, Link link, Claims source, Claims target)
      implements AutoCloseable {
    static Two open(Arena arena) {
      return open(arena, 4096);
    }

    static Two open(Arena arena, long bytes) {
      AgentHandle reader = agent("reader");
      AgentHandle owner = agent("owner");
      Region from = region(arena.allocate(bytes));
      Region to = region(arena.allocate(bytes));
      owner.register(from);
      reader.register(to);
      assertThat(reader.load(owner.metadata())).isEqualTo(owner.name());
      Link link =
          new Link(
              new Link.Target("owner", owner.name(), Link.Language.FRAMES, MemoryKind.DRAM, 0));
      return new Two(reader, owner, link, new Claims(from), new Claims(to));
    }

    private static Region region(MemorySegment memory) {
      return new Region(memory.address(), memory.byteSize());
    }

    RequestHandle request() {
      Batch batch = new Batch(1);
      batch.add(
          source,
          source.region().address(),
          target,
          target.region().address(),
          source.region().bytes());
      return RequestHandle.create(reader, batch, link);
    }

    @Override
    public void close() {
      reader.close();
      owner.close();
    }
  }

  @Test
  void request_released_cannotBeUsed() {
    try (Arena arena = Arena.ofShared();
        Two two = Two.open(arena)) {
      RequestHandle request = two.request();
      int status = request.post();
      while (status == NixlFailure.IN_PROGRESS) {
        status = request.status();
      }
      assertThat(status).isZero();
      assertThat(request.telemetry().bytes()).isEqualTo(4096);
      request.release();

      assertThatThrownBy(request::status).isInstanceOf(IllegalStateException.class);
      assertThatThrownBy(request::telemetry).isInstanceOf(IllegalStateException.class);
      assertThatThrownBy(request::release).isInstanceOf(IllegalStateException.class);
      assertThatThrownBy(request::post).isInstanceOf(IllegalStateException.class);
    }
  }

  @Test
  void request_notPosted_canBeReleased() {
    try (Arena arena = Arena.ofShared();
        Two two = Two.open(arena)) {
      two.request().release();
    }
  }

  @Test
  void agent_withARequest_cannotBeClosed() {
    try (Arena arena = Arena.ofShared();
        Two two = Two.open(arena)) {
      RequestHandle request = two.request();

      assertThatThrownBy(two.reader()::close)
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("1 requests");

      request.release();
    }
  }

  @Test
  void agent_closed_cannotBeUsed() {
    AgentHandle agent = agent("closed");
    agent.close();
    agent.close();

    assertThatThrownBy(agent::metadata).isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(() -> agent.receive(1, () -> {})).isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(() -> agent.send(MemorySegment.NULL, new byte[1]))
        .isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(() -> agent.register(new Region(4096, 4096)))
        .isInstanceOf(IllegalStateException.class);
  }

  @Test
  void contact_givesNoMemoryAway() {
    try (Arena arena = Arena.ofShared();
        Two two = Two.open(arena);
        AgentHandle third = agent("third")) {
      assertThat(third.load(two.owner().contact())).isEqualTo(two.owner().name());
      Batch batch = new Batch(1);
      Claims target = new Claims(Two.region(arena.allocate(4096)));
      third.register(target.region());
      batch.add(
          two.source(), two.source().region().address(), target, target.region().address(), 1);
      Link link = new Link(two.link().target());

      assertThatThrownBy(() -> RequestHandle.create(third, batch, link))
          .isInstanceOf(NixlFailure.class);
    }
  }

  @Test
  void load_withOtherSettings_isRefused() {
    assertThat(Nixl.load(NixlSettings.DEFAULT.withTransports("tcp")))
        .isInstanceOfSatisfying(
            Nixl.Absent.class, absent -> assertThat(absent.reason()).contains("other settings"));
  }

  @Test
  void transport_namesThatNixlCannotTake_areRefused() {
    assertThatThrownBy(() -> NixlTransportOptions.named("", NixlTransportTest.SECRET))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> NixlTransportOptions.named("a\0b", NixlTransportTest.SECRET))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void notifications_unsignedForgedOrRepeated_neverReachTheHandler() throws Exception {
    try (NixlTransport transport = NixlTransportTest.open("owner", NixlTransportTest.SECRET);
        AgentHandle stranger = agent("stranger")) {
      List<String> heard = new CopyOnWriteArrayList<>();
      transport.onNotification((from, _) -> heard.add(from));
      MemorySegment owner = Link.cString(stranger.load(transport.engineMetadata()));
      Frame.Numbered deliver =
          new Frame.Numbered(1, new Frame.Deliver(Frame.Body.of(new byte[] {1})));
      byte[] forged =
          Frame.seal(
              deliver, stranger.name(), transport.agentName(), NixlTransportTest.OTHER_SECRET);
      byte[] notIntroduced =
          Frame.seal(deliver, stranger.name(), transport.agentName(), NixlTransportTest.SECRET);

      for (byte[] payload :
          List.of("req-1:1".getBytes(UTF_8), forged, notIntroduced, notIntroduced)) {
        assertThat(stranger.send(owner, payload)).isZero();
      }

      long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
      while (transport.statistics().refusedNotifications() < 4 && System.nanoTime() < end) {
        Thread.sleep(2);
      }
      assertThat(transport.statistics().refusedNotifications()).isEqualTo(4);
      assertThat(heard).isEmpty();
    }
  }

  @Test
  void notifications_tooLong_areDroppedAndTheNextOnesAreNot() throws Exception {
    try (NixlTransport transport =
            NixlTransport.open(
                NixlInstalled.Library.present(),
                NixlTransportOptions.named("owner", NixlTransportTest.SECRET)
                    .with(NixlTransportOptions.EngineNotifications.DELIVERED));
        AgentHandle stranger = agent("stranger")) {
      CompletableFuture<byte[]> heard = new CompletableFuture<>();
      transport.onNotification((_, payload) -> heard.complete(payload));
      MemorySegment owner = Link.cString(stranger.load(transport.engineMetadata()));

      assertThat(stranger.send(owner, new byte[8 << 20])).isZero();
      assertThat(stranger.send(owner, "req-1:1".getBytes(UTF_8))).isZero();

      assertThat(heard.get(30, TimeUnit.SECONDS)).isEqualTo("req-1:1".getBytes(UTF_8));
      assertThat(transport.statistics().refusedNotifications()).isEqualTo(1);
    }
  }

  @Test
  void connectEngine_toAConnectedTransport_isRefused() {
    try (NixlTransport owner = NixlTransportTest.open("owner", NixlTransportTest.SECRET);
        NixlTransport reader = NixlTransportTest.open("reader", NixlTransportTest.SECRET)) {
      Duration patience = Duration.ofSeconds(30);
      assertThat(reader.connect(owner.describe(), patience).join().name()).isEqualTo("owner");
      EngineDescription same =
          new EngineDescription(
              owner.agentName(),
              owner.engineMetadata(),
              MemoryKind.DRAM,
              0,
              List.of(),
              NixlInstalled.Library.present().version());

      // An engine is not told who reads it, and this owner counts on it.
      assertThatThrownBy(() -> reader.connectEngine(same, patience).join())
          .hasCauseInstanceOf(TransferException.class)
          .hasMessageContaining("connected already");
    }
  }

  @Test
  void reader_killed_isForgotten() throws Exception {
    try (Arena arena = Arena.ofShared();
        NixlTransport owner = NixlTransportTest.open("owner", NixlTransportTest.SECRET)) {
      MemorySegment memory = arena.allocate(1 << 20);
      owner.register(memory);
      try (RemoteReader reader =
          RemoteReader.launch(owner.describe(), memory.address(), memory.byteSize())) {
        assertThat(owner.statistics().readers()).isEqualTo(1);
        Signals.kill(reader.process());
      }

      long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
      while (owner.statistics().readers() > 0) {
        assertThat(System.nanoTime()).isLessThan(end);
        Thread.sleep(10);
      }
    }
  }

  @Test
  void connect_toItself_isRefused() {
    try (NixlTransport transport = NixlTransportTest.open("me", NixlTransportTest.SECRET)) {
      assertThatThrownBy(
              () -> transport.connect(transport.describe(), Duration.ofSeconds(5)).join())
          .hasCauseInstanceOf(TransferException.class)
          .hasMessageContaining("own");
    }
  }
}
