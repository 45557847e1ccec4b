package dev.millrace.router.agents;

import dev.millrace.config.AgentAddress;
import dev.millrace.router.handoff.Outcome;
import dev.millrace.router.handoff.Pinned;
import dev.millrace.transfer.rpc.AgentCallFailed;
import dev.millrace.transfer.rpc.AgentClient;
import dev.millrace.transfer.rpc.Token;
import dev.millrace.transfer.rpc.v1.DescribeReply;
import dev.millrace.transfer.rpc.v1.Engine;
import dev.millrace.transfer.rpc.v1.ExtendRequest;
import dev.millrace.transfer.rpc.v1.HandOff;
import dev.millrace.transfer.rpc.v1.Holder;
import dev.millrace.transfer.rpc.v1.ReleaseRequest;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.grpc.common.GrpcStatus;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** All KV agents of a routing table. Shared by all event loops. */
public final class Agents {
  private static final Logger LOG = LoggerFactory.getLogger(Agents.class);

  private static final Duration WATCH = Duration.ofSeconds(1);

  /** One that is started again is needed at once: blocks wait for it to be freed. */
  private static final Duration WATCH_FOR_RETURN = Duration.ofMillis(100);

  private static final Duration DESCRIBE_WITHIN = Duration.ofSeconds(1);

  /** Over a connection that is there, an engine frees blocks within milliseconds. */
  private static final Duration SHORT_CALL = Duration.ofSeconds(5);

  private final List<Agent> agents;
  private final Promise<Void> firstLook = Promise.promise();

  private Agents(List<Agent> agents) {
    this.agents = List.copyOf(agents);
  }

  /**
   * Reads the tokens and begins to watch, on the event loop from which it is called.
   *
   * @return fails if a token cannot be read
   */
  public static Future<Agents> watch(Vertx vertx, List<AgentAddress> addresses) {
    List<Future<Agent>> known = new ArrayList<>();
    for (AgentAddress address : addresses) {
      known.add(agent(vertx, address));
    }
    return Future.all(known)
        .map(all -> {
          Agents agents = new Agents(all.list());
          Future.join(agents.agents.stream().map(each -> watch(vertx, each)).toList())
              .onComplete(looked -> agents.firstLook.complete());
          return agents;
        });
  }

  private static Future<Agent> agent(Vertx vertx, AgentAddress address) {
    return vertx
        .fileSystem()
        .readFile(address.tokenFile().toString())
        .map(content -> token(address, content))
        .map(token ->
            new Agent(
                address.url().toString(),
                new AgentClient(vertx, address.url().getHost(), address.port(), token)))
        .recover(failure ->
            Future.failedFuture(
                "the token of agent %s cannot be read from %s: %s; put what the agent asks for there, readable by this user"
                    .formatted(address.url(), address.tokenFile(), failure.getMessage())));
  }

  private static Token token(AgentAddress address, Buffer content) {
    try {
      return Token.of(content.toString(StandardCharsets.UTF_8).strip());
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(address.tokenFile() + ": " + e.getMessage(), e);
    }
  }

  /** Completes with the first look; the next follow one after the other. */
  private static Future<?> watch(Vertx vertx, Agent agent) {
    return agent
        .client()
        .describe(DESCRIBE_WITHIN)
        .onSuccess(reply -> answered(agent, reply))
        .onFailure(failure -> failed(agent, failure))
        .onComplete(looked -> {
          Duration pause = agent.answers() ? WATCH : WATCH_FOR_RETURN;
          vertx.setTimer(pause.toMillis(), timer -> watch(vertx, agent));
        });
  }

  /**
   * Completes when every agent has answered or failed to, which takes a second at most: before, a
   * pair that needs one would be found broken.
   */
  public Future<Void> known() {
    return firstLook.future();
  }

  private static void answered(Agent agent, DescribeReply reply) {
    if (agent.said() == null) {
      LOG.info("{} answers: transport {}", agent, reply.getTransport());
    }
    agent.answered(reply);
  }

  /** Whoever is not there is not called before it answers again. */
  static void noticed(Agent agent, Throwable failure) {
    if (failure instanceof AgentCallFailed call && call.isUnanswered()) {
      failed(agent, failure);
    }
  }

  private static void failed(Agent agent, Throwable failure) {
    String why = words(failure);
    if (!why.equals(agent.trouble())) {
      LOG.warn("{} does not answer: {}", agent, why);
    }
    agent.failed(why);
  }

  private static String words(Throwable failure) {
    return failure instanceof AgentCallFailed call
        ? call.status() + ": " + call.getMessage()
        : String.valueOf(failure.getMessage());
  }

  /** Every agent, in the table's order. */
  public List<Agent> all() {
    return agents;
  }

  /** The agent with the fewest calls of those that answer and reach a side channel. */
  public Optional<Agent> reaching(String host, int port) {
    return allReaching(host, port).findFirst();
  }

  private Stream<Agent> allReaching(String host, int port) {
    return agents.stream()
        .filter(agent -> agent.reaches(host, port))
        .sorted(Comparator.comparingInt(Agent::calls));
  }

  /**
   * An agent that may stand between two engines: it answers and reaches both side channels.
   *
   * @param deadline for the whole carriage
   */
  public Optional<Carrier> between(Pinned blocks, DecodeEngine reader, Duration deadline) {
    return agents.stream()
        .filter(agent ->
            agent.reaches(blocks.host(), blocks.port())
                && agent.reaches(reader.host(), reader.port()))
        .min(Comparator.comparingInt(Agent::calls))
        .map(agent -> new Carrier(agent, blocks, reader, deadline));
  }

  /** Drops a copy that nobody will read. Its expiry would do it, too. */
  public Future<Void> drop(Carried.Copy copy) {
    ReleaseRequest request =
        ReleaseRequest.newBuilder()
            .setHandOff(named(copy.of()))
            .setHolder(Holder.HOLDER_AGENT)
            .setCopyId(copy.id())
            .build();
    return counted(
        copy.agent(), "drop", copy.of(), copy.agent().client().release(request, SHORT_CALL));
  }

  /**
   * Frees blocks at the prefill engine, by the first agent that can: {@link Outcome.Released}, or
   * {@link Outcome.Lost} if another engine is at its address by now. Fails if none could.
   */
  public Future<Outcome> release(Pinned blocks) {
    Future<Outcome> released =
        Future.failedFuture("no agent that answers reaches " + blocks.sideChannel());
    for (Agent agent : allReaching(blocks.host(), blocks.port()).toList()) {
      released = released.recover(failure -> release(agent, blocks));
    }
    return released;
  }

  private static Future<Outcome> release(Agent agent, Pinned blocks) {
    ReleaseRequest request =
        ReleaseRequest.newBuilder()
            .setHandOff(named(blocks))
            .setHolder(Holder.HOLDER_ENGINE)
            .build();
    return counted(agent, "release", blocks, agent.client().release(request, SHORT_CALL))
        .<Outcome>map(freed -> new Outcome.Released(Outcome.By.AGENT))
        .recover(failure ->
            failure instanceof AgentCallFailed call
                    && call.status() == GrpcStatus.FAILED_PRECONDITION
                ? Future.succeededFuture(new Outcome.Lost())
                : Future.failedFuture(failure));
  }

  /** Asks the prefill engine to keep blocks for longer; fails if the agent could not. */
  public Future<Void> extend(Agent agent, Pinned blocks) {
    ExtendRequest request = ExtendRequest.newBuilder().setHandOff(named(blocks)).build();
    return counted(agent, "extend", blocks, agent.client().extend(request, SHORT_CALL));
  }

  private static Future<Void> counted(Agent agent, String what, Pinned blocks, Future<?> call) {
    agent.openCalls().incrementAndGet();
    return call.onComplete(ended -> agent.openCalls().decrementAndGet())
        .onFailure(failure -> noticed(agent, failure))
        .onFailure(failure ->
            LOG.warn(
                "{} could not {} {} of {}: {}",
                agent,
                what,
                blocks.requestId(),
                blocks.sideChannel(),
                words(failure)))
        .mapEmpty();
  }

  /** Enough to speak of a hand-off, without its block ids. */
  static HandOff named(Pinned blocks) {
    return HandOff.newBuilder()
        .setEngine(
            Engine.newBuilder()
                .setEngineId(blocks.engineId())
                .setSideChannelHost(blocks.host())
                .setSideChannelPort(blocks.port())
                .setTensorParallel(blocks.tensorParallel())
                .setPipelineParallel(blocks.pipelineParallel()))
        .setRequestId(blocks.requestId())
        .build();
  }
}
