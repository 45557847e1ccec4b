package dev.millrace.bench;

import dev.millrace.config.Loaded;
import dev.millrace.config.RoutingTable;
import dev.millrace.config.RoutingTables;
import dev.millrace.router.choose.Blame;
import dev.millrace.router.choose.Choice;
import dev.millrace.router.choose.Chooser;
import dev.millrace.router.choose.Traits;
import dev.millrace.router.edges.Canary;
import dev.millrace.router.edges.ProfileJudge;
import dev.millrace.router.edges.RouteEdges;
import dev.millrace.router.edges.Watch;
import dev.millrace.router.handoff.HandOff;
import dev.millrace.router.handoff.Ledger;
import dev.millrace.router.handoff.Outcome;
import dev.millrace.router.handoff.Parameters;
import dev.millrace.router.handoff.Pinned;
import dev.millrace.router.http.Api;
import dev.millrace.router.http.ClientRequest;
import dev.millrace.router.pools.Worker;
import dev.millrace.router.pools.Workers;
import dev.millrace.router.probe.EngineCalls;
import dev.millrace.router.probe.Prober;
import dev.millrace.transfer.sidechannel.SideChannelClient;
import io.vertx.core.Future;
import io.vertx.core.MultiMap;
import io.vertx.core.Vertx;
import java.nio.charset.StandardCharsets;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** What it costs to choose a pair of workers, and to keep account of a hand-off. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(
    value = 2,
    jvmArgs = {"-Xmx1g", "-XX:+UseSerialGC", "--sun-misc-unsafe-memory-access=allow"})
public class ChoiceBenchmark {
  /** In both pools together. */
  @Param({"4", "64", "1000"})
  public int workers;

  /** Of both stages. */
  @Param({"round-robin", "least-active", "prefix-affinity"})
  public String policy = "";

  private static final int PROMPT_BYTES = 8 << 10;

  private final Ledger ledger = new Ledger();
  private @Nullable Vertx vertx;
  private @Nullable Chooser chooser;
  private @Nullable ClientRequest request;
  private @Nullable Worker holder;
  private @Nullable Pinned pinned;

  /** Makes a route whose pairs are all trusted. */
  @Setup
  public void make() {
    RoutingTable table = table();
    Vertx started = Vertx.vertx();
    vertx = started;
    Workers all = new Workers(table);
    RouteEdges edges = watch(started).edges(table.routes().getFirst(), all);
    chooser = new Chooser(edges, all, new AtomicInteger(), new Random(7), System::nanoTime, null);
    holder = all.ofPool("p").getFirst();
    byte[] asked =
        "{\"model\":\"m\",\"prompt\":\"%s\"}"
            .formatted("What a prompt says. ".repeat(PROMPT_BYTES / 20))
            .getBytes(StandardCharsets.UTF_8);
    if (ClientRequest.read(Api.COMPLETIONS, asked, asked.length) instanceof ClientRequest read) {
      request = read;
      chooser.prefillSent(holder, new Traits(read, MultiMap.caseInsensitiveMultiMap()));
    }
    byte[] answer =
        ("{\"kv_transfer_params\":{\"do_remote_prefill\":true,\"remote_block_ids\":[[1]],\"remote_engine_id\":\"e\","
                + "\"remote_request_id\":\"r\",\"remote_host\":\"h\",\"remote_port\":1}}")
            .getBytes(StandardCharsets.UTF_8);
    pinned =
        Parameters.find(answer, answer.length) instanceof Parameters.Found.Blocks(Pinned found)
            ? found
            : null;
  }

  /** A route that is trusted has nobody asked. */
  private static Watch watch(Vertx vertx) {
    EngineCalls calls = new EngineCalls(vertx.createHttpClient());
    Prober prober = new Prober(vertx, calls, new SideChannelClient(), (worker, blocks) -> {});
    Canary canary = flight -> Future.succeededFuture();
    return new Watch(vertx, prober, new ProfileJudge(false), canary, System::nanoTime);
  }

  private RoutingTable table() {
    String text =
        """
        pools:
          p: {role: prefill, model: m, engine: vllm, workers: [%s]}
          d: {role: decode, model: m, engine: vllm, workers: [%s]}
        routes:
          - {match: {model: m}, prefill: {pool: p, policy: %s}, decode: {pool: d, policy: %s}, verify: trust}
        """
            .formatted(addresses(1), addresses(2), policy, policy);
    return switch (RoutingTables.parse("bench", text)) {
      case Loaded.Valid valid -> valid.table();
      case Loaded.Invalid invalid -> throw new IllegalStateException(invalid.toString());
    };
  }

  private String addresses(int net) {
    return IntStream.range(0, workers / 2)
        .mapToObj(i -> "{url: \"http://10.%d.%d.%d:8000\"}".formatted(net, i / 250, 1 + i % 250))
        .collect(Collectors.joining(", "));
  }

  /** A pair with its places, which are given back. */
  @Benchmark
  public Object choosePair() {
    Choice choice =
        Objects.requireNonNull(chooser)
            .choose(
                new Traits(Objects.requireNonNull(request), MultiMap.caseInsensitiveMultiMap()),
                new Blame());
    if (choice instanceof Choice.Disaggregate(_, var prefill, var decode)) {
      prefill.release();
      decode.release();
    }
    return choice;
  }

  /** A hand-off that is entered and consumed. */
  @Benchmark
  public HandOff handOff() {
    HandOff entry = ledger.enter(Objects.requireNonNull(holder), Objects.requireNonNull(pinned), 1);
    entry.end(new Outcome.Consumed());
    return entry;
  }

  /** Ends what was begun for the route. */
  @TearDown
  public void close() {
    Objects.requireNonNull(vertx).close().await();
  }
}
