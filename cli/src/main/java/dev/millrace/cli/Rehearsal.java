package dev.millrace.cli;

import dev.millrace.router.Router;
import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.EngineRole;
import dev.millrace.simulator.SimulatedEngine;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClient;
import io.vertx.core.http.HttpClientResponse;
import io.vertx.core.http.HttpMethod;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import picocli.CommandLine;

/**
 * What the JVM is shown once, when Millrace is built: {@code serve} from its first step to its
 * last, and in between some seconds of requests, whole and streamed. Which classes that takes, and
 * what its methods are like when they are hot, goes into the start-up cache (JEP 483, JEP 515); so
 * a router is ready sooner, and sooner as fast as it gets.
 */
public final class Rehearsal {
  private static final Duration REQUESTS = Duration.ofSeconds(12);
  private static final Duration LONGEST = Duration.ofSeconds(60);
  private static final int LANES = 32;
  private static final int PROMPT_BYTES = 1500;
  private static final int TOKENS = 8;

  private final Vertx vertx = Router.vertx();
  private final HttpClient client = vertx.createHttpClient();
  private final int port = KeptPort.any();
  private final int adminPort = KeptPort.any();
  private final StopSignal stop = new StopSignal();
  private final StringWriter said = new StringWriter();
  private final AtomicLong answers = new AtomicLong();
  private final Duration lasting;

  /**
   * A rehearsal.
   *
   * @param lasting how long requests are sent
   */
  Rehearsal(Duration lasting) {
    this.lasting = lasting;
  }

  /** Rehearses, and exits with 0 if every request had its answer. */
  public static void main(String[] arguments) throws IOException, InterruptedException {
    long answers = new Rehearsal(REQUESTS).play();
    System.out.println(answers + " requests were answered");
    System.exit(ExitCode.DONE);
  }

  /** How many requests were answered; fails if one was not. */
  long play() throws IOException, InterruptedException {
    Path table = Files.createTempFile("millrace-rehearsal-", ".yaml");
    try {
      Files.writeString(table, table(engine(EngineRole.PREFILL), engine(EngineRole.DECODE)));
      Thread serving = Thread.ofPlatform().start(() -> serve(table));
      awaitReady();
      long until = System.nanoTime() + lasting.toNanos();
      List<Future<Void>> lanes =
          IntStream.range(0, LANES).mapToObj(lane -> ask(lane % 2 == 0, until)).toList();
      var _ = Startup.started("a rehearsal's requests", Future.all(lanes));
      stop.give();
      serving.join(LONGEST);
      return answers.get();
    } finally {
      stop.give();
      Files.delete(table);
      Startup.closed(vertx.close());
    }
  }

  private SimulatedEngine engine(EngineRole role) {
    EngineConfig config =
        EngineConfig.builder().role(role).model(DemoSetup.MODEL).plain(true).build();
    return Startup.started("an engine", SimulatedEngine.start(vertx, config));
  }

  private String table(SimulatedEngine prefill, SimulatedEngine decode) {
    return """
    listen: {host: %1$s, port: %2$d, event-loops: 1}
    admin: {host: %1$s, port: %3$d}
    pools:
      prefill: {role: prefill, model: %4$s, engine: vllm, workers: [{url: "%5$s"}]}
      decode: {role: decode, model: %4$s, engine: vllm, workers: [{url: "%6$s"}]}
    routes:
      - {match: {model: %4$s}, prefill: {pool: prefill}, decode: {pool: decode}, verify: trust}
    """
        .formatted(Demo.LOOPBACK, port, adminPort, DemoSetup.MODEL, prefill.uri(), decode.uri());
  }

  private void serve(Path table) {
    CommandLine commands = Millrace.commands(stop, List.of(ServeCommand.class));
    commands.setOut(new PrintWriter(said, true));
    commands.setErr(new PrintWriter(said, true));
    stop.ended(commands.execute("serve", "-c", table.toString()));
  }

  private void awaitReady() throws InterruptedException {
    long until = System.nanoTime() + LONGEST.toNanos();
    while (!isReady()) {
      if (System.nanoTime() > until) {
        throw new IllegalStateException("the router is not ready: " + said);
      }
      Thread.sleep(Duration.ofMillis(20));
    }
  }

  private boolean isReady() {
    return Startup.started(
        "the rehearsing router",
        client
            .request(HttpMethod.GET, adminPort, Demo.LOOPBACK, "/readyz")
            .compose(request -> request.send())
            .map(response -> response.statusCode() == 200)
            .otherwise(false));
  }

  /** One request after the other, until it is time. */
  private Future<Void> ask(boolean streamed, long until) {
    if (System.nanoTime() > until) {
      return Future.succeededFuture();
    }
    Buffer body =
        DemoRequest.chat("x".repeat(PROMPT_BYTES), TOKENS).put("stream", streamed).toBuffer();
    return client
        .request(HttpMethod.POST, port, Demo.LOOPBACK, "/v1/chat/completions")
        .compose(request -> request.putHeader("content-type", "application/json").send(body))
        .compose(Rehearsal::whole)
        .compose(whole -> {
          answers.incrementAndGet();
          return ask(streamed, until);
        });
  }

  private static Future<Buffer> whole(HttpClientResponse response) {
    return response.statusCode() == 200
        ? response.body()
        : Future.failedFuture("an answer was " + response.statusCode());
  }
}
