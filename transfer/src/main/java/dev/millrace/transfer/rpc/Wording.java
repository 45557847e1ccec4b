package dev.millrace.transfer.rpc;

import dev.millrace.layout.Geometry;
import dev.millrace.layout.Layout;
import dev.millrace.transfer.agent.AgentOptions;
import dev.millrace.transfer.agent.AgentRefusal;
import dev.millrace.transfer.agent.HandOff;
import dev.millrace.transfer.agent.KvAgent;
import dev.millrace.transfer.agent.ReadEvent;
import dev.millrace.transfer.agent.ReadOrder;
import dev.millrace.transfer.agent.Reason;
import dev.millrace.transfer.agent.RemoteEngine;
import dev.millrace.transfer.agent.TargetShape;
import dev.millrace.transfer.rpc.v1.AfterRead;
import dev.millrace.transfer.rpc.v1.BlockIds;
import dev.millrace.transfer.rpc.v1.DescribeReply;
import dev.millrace.transfer.rpc.v1.Engine;
import dev.millrace.transfer.rpc.v1.Holder;
import dev.millrace.transfer.rpc.v1.ReadReply;
import dev.millrace.transfer.rpc.v1.ReadRequest;
import dev.millrace.transfer.rpc.v1.SideChannel;
import dev.millrace.transfer.rpc.v1.Target;
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
    Duration deadline =
        request.getDeadlineMillis() == 0
            ? longest
            : Duration.ofMillis(Integer.toUnsignedLong(request.getDeadlineMillis()));
    if (left.isPresent() && left.get().compareTo(deadline) < 0) {
      deadline = left.get();
    }
    return new ReadOrder(
        handOff(request.getHandOff()),
        target(request.getTarget()),
        request.getFromToken(),
        deadline,
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
      case ReadEvent.Handshaken(String geometry, Duration took) ->
          reply.getHandshakenBuilder().setGeometry(geometry).setTookMicros(micros(took));
      case ReadEvent.Posted(String copyId, long bytes, int sourceRanks, int parts) ->
          reply
              .getPostedBuilder()
              .setCopyId(copyId)
              .setBytes(bytes)
              .setSourceRanks(sourceRanks)
              .setParts(parts);
      case ReadEvent.Progress(long bytes) -> reply.getProgressBuilder().setBytes(bytes);
      case ReadEvent.Done(
              String copyId,
              long bytes,
              long runs,
              Duration took,
              Duration expiresIn) ->
          reply
              .getDoneBuilder()
              .setCopyId(copyId)
              .setBytes(bytes)
              .setRuns(runs)
              .setTookMicros(micros(took))
              .setExpiresInMillis(expiresIn.toMillis());
      case ReadEvent.Failed(Reason reason, String message, long bytes, long quarantinedBytes) ->
          reply
              .getFailedBuilder()
              .setReason(reason(reason))
              .setMessage(message)
              .setBytes(bytes)
              .setQuarantinedBytes(quarantinedBytes);
    }
    return reply.build();
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
      case MISMATCH -> GrpcStatus.FAILED_PRECONDITION;
      case MEMORY_FULL, OVERLOADED -> GrpcStatus.RESOURCE_EXHAUSTED;
      case DEADLINE -> GrpcStatus.DEADLINE_EXCEEDED;
      case CORRUPT -> GrpcStatus.DATA_LOSS;
      case CANCELLED -> GrpcStatus.CANCELLED;
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
    };
  }
}
