package dev.millrace.router.agents;

import dev.millrace.router.handoff.Pinned;
import dev.millrace.transfer.rpc.AgentCallFailed;
import dev.millrace.transfer.rpc.AgentClient;
import dev.millrace.transfer.rpc.v1.BlockIds;
import dev.millrace.transfer.rpc.v1.BridgeReply;
import dev.millrace.transfer.rpc.v1.BridgeRequest;
import dev.millrace.transfer.rpc.v1.Engine;
import dev.millrace.transfer.rpc.v1.HandOff;
import dev.millrace.transfer.rpc.v1.ReadReply;
import dev.millrace.transfer.rpc.v1.RelayReply;
import dev.millrace.transfer.rpc.v1.RelayRequest;
import dev.millrace.transfer.rpc.v1.TransferParameters;
import dev.millrace.transfer.rpc.v1.Way;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import io.vertx.grpc.common.GrpcStatus;
import java.time.Duration;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** Has one agent bring one hand-off's blocks to one decode engine. */
public final class Carrier {
  private final Agent agent;
  private final Pinned blocks;
  private final DecodeEngine reader;
  private final Duration deadline;
  private Runnable cancel = () -> {};

  Carrier(Agent agent, Pinned blocks, DecodeEngine reader, Duration deadline) {
    this.agent = agent;
    this.blocks = blocks;
    this.reader = reader;
    this.deadline = deadline;
  }

  /** Gives it up; the agent frees what it has. */
  public void cancel() {
    cancel.run();
  }

  /** The decode engine reads from the prefill engine itself. Fails with {@link NotCarried}. */
  public Future<Carried> bridge() {
    BridgeRequest request =
        BridgeRequest.newBuilder().setHandOff(handOff()).setReader(reader()).build();
    return counted(agent.client().bridge(request, deadline).map(this::bridged));
  }

  /**
   * The decode engine reads from the agent. Fails with {@link NotCarried}.
   *
   * @param copy that the agent has from before; empty: it reads anew
   */
  public Future<Carried> relay(Optional<Carried.Copy> copy) {
    RelayRequest.Builder request =
        RelayRequest.newBuilder().setHandOff(handOff()).setReader(reader());
    copy.ifPresent(known -> request.setCopyId(known.id()));
    AgentClient.Transfer<RelayReply> relay =
        agent.client().relay(request.build(), progress -> {}, deadline);
    cancel = relay::cancel;
    return counted(relay.outcome().compose(this::relayed));
  }

  private Future<Carried> counted(Future<Carried> call) {
    agent.openCalls().incrementAndGet();
    return call.onComplete(ended -> agent.openCalls().decrementAndGet())
        .onFailure(failure -> Agents.noticed(agent, failure))
        .recover(failure -> Future.failedFuture(explained(failure)));
  }

  private NotCarried explained(Throwable failure) {
    if (failure instanceof NotCarried known) {
      return known;
    }
    GrpcStatus status =
        failure instanceof AgentCallFailed call ? call.status() : GrpcStatus.UNKNOWN;
    NotCarried.Blamed blamed =
        switch (status) {
          case INVALID_ARGUMENT, FAILED_PRECONDITION, PERMISSION_DENIED, DATA_LOSS ->
              NotCarried.Blamed.EDGE;
          default -> NotCarried.Blamed.AGENT;
        };
    return notCarried(
        blamed, status.name().toLowerCase(Locale.ROOT), String.valueOf(failure.getMessage()));
  }

  private NotCarried notCarried(NotCarried.Blamed blamed, String reason, String why) {
    return new NotCarried(
        blamed,
        reason,
        "%s could not bring the blocks of %s to %s: %s"
            .formatted(agent, blocks.sideChannel(), reader, why));
  }

  private Carried bridged(BridgeReply reply) {
    return new Carried(
        merged(reply.getParameters()),
        words(reply.getWay()),
        Optional.empty(),
        0,
        Duration.of(reply.getSteps().getTotalMicros(), ChronoUnit.MICROS));
  }

  private Future<Carried> relayed(RelayReply reply) {
    if (reply.hasFailed()) {
      ReadReply.Failed failed = reply.getFailed();
      NotCarried.Blamed blamed =
          switch (failed.getReason()) {
            case REASON_MEMORY_FULL,
                REASON_OVERLOADED,
                REASON_CANCELLED,
                REASON_CLOSED,
                REASON_GONE ->
                NotCarried.Blamed.AGENT;
            default -> NotCarried.Blamed.EDGE;
          };
      String reason = word(failed.getReason().name(), "REASON_");
      return Future.failedFuture(notCarried(blamed, reason, failed.getMessage()));
    }
    RelayReply.Done done = reply.getDone();
    return Future.succeededFuture(
        new Carried(
            merged(done.getParameters()),
            words(done.getWay()),
            Optional.of(new Carried.Copy(agent, done.getCopyId(), blocks, reader)),
            done.getBytes(),
            Duration.of(done.getSteps().getTotalMicros(), ChronoUnit.MICROS)));
  }

  private static String words(Way way) {
    return word(way.name(), "WAY_").replace('_', '-');
  }

  private static String word(String name, String prefix) {
    return name.substring(name.startsWith(prefix) ? prefix.length() : 0).toLowerCase(Locale.ROOT);
  }

  /** What the prefill worker said, but for what the agent says otherwise. */
  private Buffer merged(TransferParameters told) {
    JsonArray groups = new JsonArray();
    told.getRemoteBlockIdsList().forEach(ids -> groups.add(new JsonArray(ids.getIdsList())));
    return new JsonObject(blocks.object())
        .put("remote_engine_id", told.getRemoteEngineId())
        .put("remote_request_id", told.getRemoteRequestId())
        .put("remote_host", told.getRemoteHost())
        .put("remote_port", told.getRemotePort())
        .put("remote_block_ids", groups)
        .put("tp_size", told.getTpSize())
        .toBuffer();
  }

  private HandOff handOff() {
    List<BlockIds> groups =
        blocks.blockIds().stream()
            .map(ids -> BlockIds.newBuilder().addAllIds(ids).build())
            .toList();
    return Agents.named(blocks).toBuilder().addAllGroups(groups).setTokens(blocks.tokens()).build();
  }

  private Engine reader() {
    return Engine.newBuilder()
        .setEngineId(reader.engineId())
        .setSideChannelHost(reader.host())
        .setSideChannelPort(reader.port())
        .setTensorParallel(reader.tensorParallel())
        .build();
  }
}
