package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.AgentAddress;
import dev.millrace.config.Transfer;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.transfer.rpc.AgentClient;
import dev.millrace.transfer.rpc.Token;
import dev.millrace.transfer.rpc.v1.DescribeReply;
import io.vertx.core.Vertx;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * One prefill and one decode engine that do not fit, and the agent that relays between them, each a
 * process of its own; the router in front of them; and somebody who asks each of them.
 */
final class RelayScene implements AutoCloseable {
  /** Longer than an agent keeps a copy by default, for those whose reader lives and is silent. */
  private static final Duration LONG = Duration.ofSeconds(90);

  private static final Duration PATIENCE = Duration.ofSeconds(3);
  private static final int ANSWER_TOKENS = 8;

  /** Children of the demo, in their order. */
  enum Who {
    PREFILL(0),
    DECODE(1),
    AGENT(2);

    private final int child;

    Who(int child) {
      this.child = child;
    }
  }

  /**
   * What is held for exchanges that are over.
   *
   * @param prefillUsage share of the prefill engine's blocks that is in use; empty: no answer
   * @param agent empty: no answer
   */
  record Held(Optional<Double> prefillUsage, Optional<DescribeReply> agent) {
    boolean isNothing() {
      return prefillUsage.equals(Optional.of(0.0))
          && agent
              .map(reply ->
                  reply.getHeldCopies() == 0
                      && reply.getOpenReaders() == 0
                      && reply.getOpenReads() == 0
                      && reply.getQuarantinedBytes() == 0
                      && reply.getHeldBytes() == 0)
              .orElse(false);
    }

    @Override
    public String toString() {
      return "P %s, agent %s"
          .formatted(
              prefillUsage.map("%.3f in use"::formatted).orElse("does not answer"),
              agent
                  .map(reply ->
                      "%d copies, %d readers"
                          .formatted(reply.getHeldCopies(), reply.getOpenReaders()))
                  .orElse("does not answer"));
    }
  }

  private final StringWriter said = new StringWriter();
  private final Demo demo;
  private final Vertx vertx = Vertx.vertx();
  private final HttpJson http = new HttpJson();
  private final AgentClient agent;

  RelayScene(GeometrySpec prefill, GeometrySpec decode) throws IOException {
    demo =
        Demo.start(
            new DemoSetup(
                TransportChoice.TCP, prefill, decode, 1, 1, 0, 0, Duration.ZERO, Transfer.RELAY),
            new PrintWriter(said, true));
    AgentAddress address = demo.engines().agent().orElseThrow();
    agent =
        new AgentClient(
            vertx,
            address.url().getHost(),
            address.url().getPort(),
            Token.of(Files.readString(address.tokenFile()).strip()));
    awaitAnswers();
  }

  /** On a busy machine engines may be late with what they are asked first. */
  private void awaitAnswers() {
    Instant limit = Instant.now().plus(LONG);
    HttpJson.Answer answer = ask("first");
    while (answer.status() != 200) {
      assertThat(Instant.now()).as(answer.body().encode()).isBefore(limit);
      answer = ask("first");
    }
  }

  static String prompt(Random random, int characters) {
    return random
        .ints(characters, 'a', 'z' + 1)
        .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
        .toString();
  }

  HttpJson.Answer ask(String prompt) {
    return http.post(
        router().resolve("/v1/chat/completions"),
        DemoRequest.chat(prompt, ANSWER_TOKENS),
        "relayed");
  }

  /** What one engine that does both says. */
  String expected(String prompt) {
    return DemoRequest.text(
        http.post(
                demo.aggregated().uri().resolve("/v1/chat/completions"),
                DemoRequest.chat(prompt, ANSWER_TOKENS),
                "expected")
            .body());
  }

  void askAndCompare(String prompt) {
    HttpJson.Answer answer = ask(prompt);
    assertThat(answer.status()).as(answer.body().encode()).isEqualTo(200);
    assertThat(DemoRequest.text(answer.body())).isEqualTo(expected(prompt));
  }

  /** Asks, and resets the connection after a while, whatever has been answered by then. */
  void askAndLeave(String prompt, Duration patience) throws IOException, InterruptedException {
    byte[] body = DemoRequest.chat(prompt, ANSWER_TOKENS).toBuffer().getBytes();
    String head =
        """
        POST /v1/chat/completions HTTP/1.1
        Host: router
        Content-Type: application/json
        Content-Length: %d

        """
            .formatted(body.length)
            .replace("\n", "\r\n");
    try (Socket socket = new Socket(router().getHost(), router().getPort())) {
      socket.setSoLinger(true, 0);
      socket.getOutputStream().write(head.getBytes(StandardCharsets.US_ASCII));
      socket.getOutputStream().write(body);
      Thread.sleep(patience);
    }
  }

  private URI router() {
    return demo.routerUrl();
  }

  private Child child(Who who) {
    return ((EnginesApart) demo.engines()).children().get(who.child);
  }

  /** Who it is now; another one once it has been started again. */
  long pid(Who who) {
    return child(who).pid();
  }

  /** Kills the agent, and waits until another one answers and the router knows that. */
  void startAgentAnew() throws InterruptedException {
    long pid = pid(Who.AGENT);
    kill(pid);
    Instant limit = Instant.now().plus(LONG);
    while (pid(Who.AGENT) == pid
        || describe().isEmpty()
        || !admin("/pd/agents").contains("\"state\":\"up\"")) {
      assertThat(Instant.now()).as(lastWords()).isBefore(limit);
      Thread.sleep(20);
    }
  }

  static void kill(long pid) {
    ProcessHandle.of(pid).ifPresent(ProcessHandle::destroyForcibly);
  }

  /**
   * It lives and keeps its connections, but does nothing; returns when each thread stands still.
   */
  static void freeze(long pid) throws Exception {
    signal("STOP", pid);
    Instant limit = Instant.now().plus(LONG);
    while (!standsStill(pid)) {
      assertThat(Instant.now()).isBefore(limit);
      Thread.onSpinWait();
    }
  }

  static void thaw(long pid) throws Exception {
    signal("CONT", pid);
  }

  private static void signal(String name, long pid) throws Exception {
    int code = new ProcessBuilder("kill", "-" + name, Long.toString(pid)).start().waitFor();
    assertThat(code).as("kill -%s", name).isZero();
  }

  /** State T behind the name in brackets, proc(5), of each thread. */
  private static boolean standsStill(long pid) {
    try (Stream<Path> threads = Files.list(Path.of("/proc/" + pid + "/task"))) {
      for (Path thread : threads.toList()) {
        String stat = Files.readString(thread.resolve("stat"));
        if (stat.charAt(stat.lastIndexOf(')') + 2) != 'T') {
          return false;
        }
      }
      return true;
    } catch (IOException | UncheckedIOException ended) {
      return false;
    }
  }

  /**
   * Lets a process have little more address space than it has (prlimit(1)).
   *
   * @param moreBytes {@link Long#MAX_VALUE}: as much as it likes
   */
  void limitMemory(Who who, long moreBytes) throws Exception {
    String most =
        moreBytes == Long.MAX_VALUE
            ? "unlimited"
            : Long.toString((kib(who, "VmSize:") << 10) + moreBytes);
    int code =
        new ProcessBuilder("prlimit", "--pid=" + pid(who), "--as=" + most + ":unlimited")
            .start()
            .waitFor();
    assertThat(code).as("prlimit").isZero();
  }

  long residentKib(Who who) throws IOException {
    return kib(who, "VmRSS:");
  }

  private long kib(Who who, String key) throws IOException {
    return Files.readAllLines(Path.of("/proc/" + pid(who) + "/status")).stream()
        .filter(line -> line.startsWith(key))
        .mapToLong(line -> Long.parseLong(line.replaceAll("[^0-9]", "")))
        .sum();
  }

  /** What the agent says of itself; empty if it does not answer. */
  Optional<DescribeReply> describe() {
    try {
      return Optional.of(
          agent
              .describe(PATIENCE)
              .toCompletionStage()
              .toCompletableFuture()
              .orTimeout(2 * PATIENCE.toMillis(), TimeUnit.MILLISECONDS)
              .join());
    } catch (CompletionException gone) {
      return Optional.empty();
    }
  }

  /** A gauge of an engine; empty if it does not answer. */
  Optional<Double> gauge(Who who, String name) {
    DemoEngine engine =
        (who == Who.PREFILL ? demo.engines().prefill() : demo.engines().decode()).getFirst();
    try {
      return Optional.of(
          http.text(engine.uri().resolve("/metrics"))
              .lines()
              .filter(line -> line.startsWith("vllm:" + name + "{"))
              .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1)))
              .sum());
    } catch (Failure gone) {
      return Optional.empty();
    }
  }

  Held held() {
    return new Held(gauge(Who.PREFILL, "kv_cache_usage_perc"), describe());
  }

  /** Waits until nothing is held; says how long that took. */
  Duration awaitNothingHeld() throws InterruptedException {
    Instant start = Instant.now();
    Held seen = held();
    while (!seen.isNothing()) {
      assertThat(Duration.between(start, Instant.now())).as(seen.toString()).isLessThan(LONG);
      Thread.sleep(20);
      seen = held();
    }
    return Duration.between(start, Instant.now());
  }

  /** What the processes have said lately. */
  String lastWords() {
    String all = said.toString();
    return all.substring(Math.max(0, all.length() - 2000));
  }

  /** What the router says on a page of its admin port. */
  String admin(String path) {
    return http.text(demo.adminUrl().resolve(path));
  }

  @Override
  public void close() {
    Startup.closed(agent.close());
    http.close();
    demo.close();
    Startup.closed(vertx.close());
  }
}
