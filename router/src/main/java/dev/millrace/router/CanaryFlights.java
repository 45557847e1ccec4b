package dev.millrace.router;

import dev.millrace.router.agents.Agents;
import dev.millrace.router.edges.Canary;
import dev.millrace.router.edges.Edge;
import dev.millrace.router.handoff.HandOff;
import dev.millrace.router.handoff.Outcome;
import dev.millrace.router.handoff.Parameters;
import dev.millrace.router.handoff.Pinned;
import dev.millrace.router.http.Api;
import dev.millrace.router.http.MetricsText;
import dev.millrace.router.pools.EvidenceCollector;
import dev.millrace.router.pools.TransferEvidence;
import dev.millrace.router.pools.Worker;
import dev.millrace.router.probe.EngineCalls;
import dev.millrace.router.probe.EngineCalls.Answer;
import dev.millrace.router.probe.FirstToken;
import dev.millrace.router.probe.Prompts;
import dev.millrace.router.probe.Sighting;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.random.RandomGenerator;
import java.util.stream.IntStream;

/**
 * Canaries: prompts of random tokens, which no prefix cache knows, answered once by the prefill
 * worker alone and once over the edge.
 *
 * <p>The prefill worker is the reference, and not some third engine, because a prefix computed with
 * another tensor parallelism has other roundings. Their lengths are those at which block arithmetic
 * goes wrong: one token, a block less one, a block, a block and one, several blocks. And the decode
 * worker's counter of read bytes must have risen: an answer that is right because it was computed
 * again proves nothing.
 */
final class CanaryFlights implements Canary {
  private static final Duration ANSWER_WITHIN = Duration.ofSeconds(10);
  private static final String BYTES = "vllm:nixl_bytes_transferred_sum";

  /** Token ids that every vocabulary has, above the special ones at its beginning. */
  private static final int FIRST_TOKEN = 10;

  private static final int LAST_TOKEN = 240;
  private static final int USUAL_BLOCK = 16;

  private final EngineCalls calls;
  private final Agents agents;
  private final Leftovers leftovers;
  private final EvidenceCollector evidence;
  private final RandomGenerator random;

  CanaryFlights(
      EngineCalls calls,
      Agents agents,
      Leftovers leftovers,
      EvidenceCollector evidence,
      RandomGenerator random) {
    this.evidence = evidence;
    this.calls = calls;
    this.agents = agents;
    this.leftovers = leftovers;
    this.random = random;
  }

  @Override
  public Future<Void> fly(Flight flight) {
    Edge edge = flight.edge();
    // What is read for a canary must not be taken for an exchange's.
    TransferEvidence.Leg own = edge.decode().evidence().begin(report -> {});
    return bytesRead(edge.decode())
        .compose(before ->
            all(flight, lengths(flight))
                .compose(flown -> bytesRead(edge.decode()))
                .compose(after ->
                    after > before
                        ? Future.<Void>succeededFuture()
                        : Future.failedFuture(
                            "%s answered right but has read no block: it computes prompts itself"
                                .formatted(edge.decode()))))
        .onComplete(flown -> {
          edge.decode().evidence().end(own);
          evidence.legEnded(edge.decode());
        });
  }

  private static List<Integer> lengths(Flight flight) {
    int block = Math.max(blockSize(flight.prefill()), blockSize(flight.decode()));
    int most = Math.min(mostTokens(flight.prefill()), mostTokens(flight.decode())) - 2;
    return IntStream.of(1, block - 1, block, block + 1, 4 * block + block / 2 + 1)
        .filter(length -> length >= 1 && length <= most)
        .distinct()
        .boxed()
        .toList();
  }

  private static int blockSize(Sighting sighting) {
    return sighting.cache().flatMap(Sighting.CacheConfig::blockSize).orElse(USUAL_BLOCK);
  }

  private static int mostTokens(Sighting sighting) {
    return sighting.models().stream()
        .flatMap(model -> model.maxModelTokens().stream())
        .mapToInt(Integer::intValue)
        .min()
        .orElse(Integer.MAX_VALUE);
  }

  private Future<Void> all(Flight flight, List<Integer> lengths) {
    Future<Void> flown = Future.succeededFuture();
    for (int length : lengths) {
      flown = flown.compose(before -> one(flight, prompt(length)));
    }
    return flown;
  }

  private List<Integer> prompt(int length) {
    List<Integer> tokens = new ArrayList<>();
    for (int i = 0; i < length; i++) {
      tokens.add(random.nextInt(FIRST_TOKEN, LAST_TOKEN));
    }
    return tokens;
  }

  private Future<Void> one(Flight flight, List<Integer> prompt) {
    Edge edge = flight.edge();
    return firstToken(edge.prefill(), prompt, Optional.empty())
        .compose(expected ->
            prefilled(edge.prefill(), prompt)
                .compose(pinned -> handedOver(flight, prompt, pinned))
                .compose(actual -> compare(edge, prompt.size(), expected, actual)));
  }

  private static Future<Void> compare(
      Edge edge, int length, FirstToken expected, FirstToken actual) {
    return expected
        .differs(actual)
        .map(difference ->
            Future.<Void>failedFuture(
                "over %s a prompt of %d tokens is answered wrong: %s"
                    .formatted(edge, length, difference)))
        .orElseGet(Future::succeededFuture);
  }

  private Future<FirstToken> handedOver(Flight flight, List<Integer> prompt, Pinned pinned) {
    Edge edge = flight.edge();
    HandOff blocks = leftovers.enter(edge.prefill(), pinned);
    return new Carriage(agents, pinned, Optional.of(flight.decode()), ANSWER_WITHIN)
        .by(flight.way(), Optional.empty())
        .outcome()
        .compose(carried ->
            firstToken(edge.decode(), prompt, Optional.of(carried.parameters()))
                .onFailure(failure -> carried.copy().ifPresent(agents::drop)))
        .onSuccess(answered -> blocks.end(new Outcome.Consumed()))
        .onFailure(failure -> leftovers.free(blocks));
  }

  private Future<Pinned> prefilled(Worker worker, List<Integer> prompt) {
    return post(worker, Prompts.prefill(worker.model(), prompt))
        .compose(answer ->
            switch (Parameters.find(answer.body().bytes(), answer.body().length())) {
              case Parameters.Found.Blocks(Pinned pinned) -> Future.succeededFuture(pinned);
              case Parameters.Found.Unfit(String why) ->
                  Future.failedFuture(worker + " answers unfit parameters: " + why);
              case Parameters.Found.Nothing(), Parameters.Found.Garbage() ->
                  Future.failedFuture(
                      "%s answers a prefill with status %d and no parameters"
                          .formatted(worker, answer.status()));
            });
  }

  /** With log probabilities where the engine gives them. */
  private Future<FirstToken> firstToken(
      Worker worker, List<Integer> prompt, Optional<Buffer> parameters) {
    return post(worker, Prompts.firstToken(worker.model(), prompt, parameters))
        .compose(answer ->
            answer.status() == 400
                ? post(worker, Prompts.bareFirstToken(worker.model(), prompt, parameters))
                : Future.succeededFuture(answer))
        .compose(answer ->
            answer.status() == 200
                ? Future.succeededFuture(FirstToken.of(answer.json()))
                : Future.failedFuture(
                    "%s answers a prompt of %d tokens with status %d"
                        .formatted(worker, prompt.size(), answer.status())));
  }

  private Future<Answer> post(Worker worker, Buffer body) {
    return calls.post(worker, Api.COMPLETIONS.path(), body, ANSWER_WITHIN);
  }

  private Future<Double> bytesRead(Worker worker) {
    return calls
        .get(worker, "/metrics", ANSWER_WITHIN)
        .map(answer ->
            new MetricsText(answer.body().bytes(), answer.body().length()).sum(BYTES).orElse(0.0));
  }
}
