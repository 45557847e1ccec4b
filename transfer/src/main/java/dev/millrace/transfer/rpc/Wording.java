package dev.millrace.transfer.rpc;

import dev.millrace.layout.Geometry;
import dev.millrace.layout.Layout;
import dev.millrace.transfer.agent.AgentOptions;
import dev.millrace.transfer.agent.AgentRefusal;
import dev.millrace.transfer.agent.Carriage;
import dev.millrace.transfer.agent.HandOff;
import dev.millrace.transfer.agent.KvAgent;
import dev.millrace.transfer.agent.ReadEvent;
import dev.millrace.transfer.agent.ReadOrder;
import dev.millrace.transfer.agent.Reader;
import dev.millrace.transfer.agent.Reason;
import dev.millrace.transfer.agent.RelayOrder;
import dev.millrace.transfer.agent.RemoteEngine;
import dev.millrace.transfer.agent.TargetShape;
import dev.millrace.transfer.rpc.v1.AfterRead;
import dev.millrace.transfer.rpc.v1.BlockIds;
import dev.millrace.transfer.rpc.v1.BridgeReply;
import dev.millrace.transfer.rpc.v1.DescribeReply;
import dev.millrace.transfer.rpc.v1.Engine;
import dev.millrace.transfer.rpc.v1.Holder;
import dev.millrace.transfer.rpc.v1.ReadReply;
import dev.millrace.transfer.rpc.v1.ReadRequest;
import dev.millrace.transfer.rpc.v1.RelayReply;
import dev.millrace.transfer.rpc.v1.RelayRequest;
import dev.millrace.transfer.rpc.v1.SideChannel;
import dev.millrace.transfer.rpc.v1.Steps;
import dev.millrace.transfer.rpc.v1.Target;
import dev.millrace.transfer.rpc.v1.TransferParameters;
import dev.millrace.transfer.rpc.v1.Way;
import io.vertx.grpc.common.GrpcStatus;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;

/** Between messages and what the agent takes and gives. */
final class Wording {
  private Wording() {}

  static RemoteEngine engine(Engine engine) {
    return new RemoteEngine(
        engine.getEngineId(),
        engine.getSideChannelHost(),
        engine.getSideChannelPort(),
        engine.getTensorParallel(),
        Math.max(1, engine.getPipelineParallel()));
  }

  static HandOff handOff(dev.millrace.transfer.rpc.v1.HandOff handOff) {
    return new HandOff(
        engine(handOff.getEngine()),
        handOff.getRequestId(),
        handOff.getGroupsList().stream().map(BlockIds::getIdsList).toList(),
        handOff.getTokens());
  }

  /**
   * A read.
   *
   * @param left time that the caller gives, if it says so
   */
  static ReadOrder order(ReadRequest request, Optional<Duration> left, Duration longest) {
    return new ReadOrder(
        handOff(request.getHandOff()),
        target(request.getTarget()),
        request.getFromToken(),
        deadline(request.getDeadlineMillis(), left, longest),
        request.getAfterRead() == AfterRead.AFTER_READ_RELEASE
            ? ReadOrder.AfterRead.RELEASE
            : ReadOrder.AfterRead.KEEP);
  }

  private static Function<Geometry, TargetShape> target(Target target) {
    Optional<Layout> layout =
        target.getLayout().isEmpty() ? Optional.empty() : Optional.of(layout(target.getLayout()));
    return source -> {
      TargetShape same = ReadOrder.asSource(source);
      return new TargetShape(
          target.getTensorParallel() == 0 ? same.tensorParallel() : target.getTensorParallel(),
          target.getBlockSize() == 0 ? same.blockSize() : target.getBlockSize(),
          layout.orElse(same.layout()));
    };
  }

  private static Layout layout(String name) {
    try {
      return Layout.parse(name);
    } catch (IllegalArgumentException e) {
      throw new AgentRefusal(Reason.INVALID, String.valueOf(e.getMessage()));
    }
  }

  /** A decode engine. */
  static Reader reader(Engine reader) {
    return new Reader(
        reader.getEngineId().isEmpty() ? Optional.empty() : Optional.of(reader.getEngineId()),
        reader.getSideChannelHost(),
        reader.getSideChannelPort(),
        reader.getTensorParallel());
  }

  /**
   * A relay.
   *
   * @param left time that the caller gives, if it says so
   */
  static RelayOrder order(RelayRequest request, Optional<Duration> left, Duration longest) {
    return new RelayOrder(
        handOff(request.getHandOff()),
        reader(request.getReader()),
        named(request.getCopyId()),
        request.getReaders(),
        deadline(request.getDeadlineMillis(), left, longest));
  }

  /** An id that may be left out. */
  static Optional<String> named(String id) {
    return id.isEmpty() ? Optional.empty() : Optional.of(id);
  }

  static Duration deadline(int millis, Optional<Duration> left, Duration longest) {
    Duration deadline = millis == 0 ? longest : Duration.ofMillis(Integer.toUnsignedLong(millis));
    return left.filter(shorter -> shorter.compareTo(deadline) < 0).orElse(deadline);
  }

  static Set<KvAgent.Holder> holders(Holder holder) {
    return switch (holder) {
      case HOLDER_ENGINE -> Set.of(KvAgent.Holder.ENGINE);
      case HOLDER_AGENT -> Set.of(KvAgent.Holder.AGENT);
      case HOLDER_UNSPECIFIED -> Set.of(KvAgent.Holder.values());
      case UNRECOGNIZED ->
          throw new AgentRefusal(Reason.INVALID, "holder is none that this agent knows");
    };
  }

  static ReadReply reply(ReadEvent event) {
    ReadReply.Builder reply = ReadReply.newBuilder();
    switch (event) {
      case ReadEvent.Handshaken said -> reply.setHandshaken(handshaken(said));
      case ReadEvent.Posted said -> reply.setPosted(posted(said));
      case ReadEvent.Progress said -> reply.setProgress(progress(said));
      case ReadEvent.Done done ->
          reply
              .getDoneBuilder()
              .setCopyId(done.copyId())
              .setBytes(done.bytes())
              .setRuns(done.runs())
              .setTookMicros(micros(done.took()))
              .setExpiresInMillis(done.expiresIn().toMillis());
      case ReadEvent.Failed said -> reply.setFailed(failed(said));
    }
    return reply.build();
  }

  static RelayReply relayReply(ReadEvent event) {
    RelayReply.Builder reply = RelayReply.newBuilder();
    switch (event) {
      case ReadEvent.Handshaken said -> reply.setHandshaken(handshaken(said));
      case ReadEvent.Posted said -> reply.setPosted(posted(said));
      case ReadEvent.Progress said -> reply.setProgress(progress(said));
      case ReadEvent.Done done -> reply.setDone(relayed(done));
      case ReadEvent.Failed said -> reply.setFailed(failed(said));
    }
    return reply.build();
  }

  private static RelayReply.Done relayed(ReadEvent.Done done) {
    Carriage carriage = done.carriage().orElseThrow();
    return RelayReply.Done.newBuilder()
        .setParameters(parameters(carriage.handOff()))
        .setCopyId(done.copyId())
        .setExpiresInMillis(done.expiresIn().toMillis())
        .setBytes(done.bytes())
        .setRuns(done.runs())
        .setHeldBytes(carriage.heldBytes())
        .setWay(way(carriage.way()))
        .setSteps(steps(carriage.steps()))
        .build();
  }

  static BridgeReply bridgeReply(Carriage carriage) {
    return BridgeReply.newBuilder()
        .setParameters(parameters(carriage.handOff()))
        .setWay(way(carriage.way()))
        .setSteps(steps(carriage.steps()))
        .build();
  }

  private static TransferParameters parameters(HandOff handOff) {
    RemoteEngine engine = handOff.engine();
    return TransferParameters.newBuilder()
        .setRemoteEngineId(engine.engineId())
        .setRemoteRequestId(handOff.requestId())
        .setRemoteHost(engine.host())
        .setRemotePort(engine.port())
        .addAllRemoteBlockIds(
            handOff.blockIds().stream()
                .map(ids -> BlockIds.newBuilder().addAllIds(ids).build())
                .toList())
        .setTpSize(engine.tensorParallel())
        .setPpSize(engine.pipelineParallel())
        .setDcpSize(1)
        .setRemoteNumTokens(handOff.tokens())
        .build();
  }

  private static Way way(Carriage.Way way) {
    return switch (way) {
      case BRIDGED -> Way.WAY_BRIDGED;
      case BRIDGED_REGIONS -> Way.WAY_BRIDGED_REGIONS;
      case RELAYED -> Way.WAY_RELAYED;
      case RELAYED_STAGED -> Way.WAY_RELAYED_STAGED;
      case RELAYED_AGAIN -> Way.WAY_RELAYED_AGAIN;
    };
  }

  private static Steps steps(Carriage.Steps steps) {
    return Steps.newBuilder()
        .setMeetMicros(micros(steps.meet()))
        .setPrepareMicros(micros(steps.prepare()))
        .setReadMicros(micros(steps.read()))
        .setLayMicros(micros(steps.lay()))
        .setReleaseMicros(micros(steps.release()))
        .setTotalMicros(micros(steps.total()))
        .build();
  }

  private static ReadReply.Handshaken handshaken(ReadEvent.Handshaken said) {
    return ReadReply.Handshaken.newBuilder()
        .setGeometry(said.geometry())
        .setTookMicros(micros(said.took()))
        .build();
  }

  private static ReadReply.Posted posted(ReadEvent.Posted said) {
    return ReadReply.Posted.newBuilder()
        .setCopyId(said.copyId())
        .setBytes(said.bytes())
        .setSourceRanks(said.sourceRanks())
        .setParts(said.parts())
        .build();
  }

  private static ReadReply.Progress progress(ReadEvent.Progress said) {
    return ReadReply.Progress.newBuilder().setBytes(said.bytes()).build();
  }

  private static ReadReply.Failed failed(ReadEvent.Failed said) {
    return ReadReply.Failed.newBuilder()
        .setReason(reason(said.reason()))
        .setMessage(said.message())
        .setBytes(said.bytes())
        .setQuarantinedBytes(said.quarantinedBytes())
        .build();
  }

  static DescribeReply describe(KvAgent agent, String version) {
    KvAgent.Holdings holdings = agent.holdings();
    AgentOptions options = agent.options();
    List<SideChannel> channels =
        options.sideChannels().stream()
            .map(each ->
                SideChannel.newBuilder()
                    .setHost(each.host())
                    .setPort(each.port())
                    .setModel(each.model())
                    .setConnectorVersion(each.version().number())
                    .build())
            .toList();
    return DescribeReply.newBuilder()
        .setVersion(version)
        .setTransport(agent.transport())
        .setMemoryBudgetBytes(options.budgetBytes())
        .setRegisteredBytes(holdings.registeredBytes())
        .setHeldBytes(holdings.heldBytes())
        .setQuarantinedBytes(holdings.quarantinedBytes())
        .setHeldCopies(holdings.copies())
        .setOpenReads(holdings.openReads())
        .setVirtualEngines(holdings.virtualEngines())
        .setOpenReaders(holdings.openReaders())
        .addAllSideChannels(channels)
        .build();
  }

  static long micros(Duration duration) {
    return duration.toNanos() / 1000;
  }

  static GrpcStatus status(Reason reason) {
    return switch (reason) {
      case INVALID -> GrpcStatus.INVALID_ARGUMENT;
      case NOT_ALLOWED -> GrpcStatus.PERMISSION_DENIED;
      case UNREACHABLE, PEER_LOST, CLOSED -> GrpcStatus.UNAVAILABLE;
      case MISMATCH, UNPROVEN -> GrpcStatus.FAILED_PRECONDITION;
      case MEMORY_FULL, OVERLOADED -> GrpcStatus.RESOURCE_EXHAUSTED;
      case DEADLINE -> GrpcStatus.DEADLINE_EXCEEDED;
      case CORRUPT -> GrpcStatus.DATA_LOSS;
      case CANCELLED -> GrpcStatus.CANCELLED;
      case GONE -> GrpcStatus.NOT_FOUND;
    };
  }

  private static dev.millrace.transfer.rpc.v1.Reason reason(Reason reason) {
    return switch (reason) {
      case INVALID -> dev.millrace.transfer.rpc.v1.Reason.REASON_INVALID;
      case NOT_ALLOWED -> dev.millrace.transfer.rpc.v1.Reason.REASON_NOT_ALLOWED;
      case UNREACHABLE -> dev.millrace.transfer.rpc.v1.Reason.REASON_UNREACHABLE;
      case MISMATCH -> dev.millrace.transfer.rpc.v1.Reason.REASON_MISMATCH;
      case MEMORY_FULL -> dev.millrace.transfer.rpc.v1.Reason.REASON_MEMORY_FULL;
      case OVERLOADED -> dev.millrace.transfer.rpc.v1.Reason.REASON_OVERLOADED;
      case PEER_LOST -> dev.millrace.transfer.rpc.v1.Reason.REASON_PEER_LOST;
      case DEADLINE -> dev.millrace.transfer.rpc.v1.Reason.REASON_DEADLINE;
      case CORRUPT -> dev.millrace.transfer.rpc.v1.Reason.REASON_CORRUPT;
      case CANCELLED -> dev.millrace.transfer.rpc.v1.Reason.REASON_CANCELLED;
      case CLOSED -> dev.millrace.transfer.rpc.v1.Reason.REASON_CLOSED;
      case UNPROVEN -> dev.millrace.transfer.rpc.v1.Reason.REASON_UNPROVEN;
      case GONE -> dev.millrace.transfer.rpc.v1.Reason.REASON_GONE;
    };
  }
}
