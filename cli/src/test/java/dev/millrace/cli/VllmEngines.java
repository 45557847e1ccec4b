package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.transfer.nixl.Nixl;
import dev.millrace.transfer.nixl.NixlSettings;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Assumptions;

/**
 * Real vLLM engines, one prefill and one decode engine and perhaps one that does both, which {@code
 * load-tests/vllm/vllm.sh} starts; apart from those that somebody works with by hand.
 */
final class VllmEngines implements AutoCloseable {
  static final String MODEL = "tiny";
  static final String PREFILL = "prefill-0";
  static final String DECODE = "decode-0";

  /** Where free ports are looked for, apart from those of {@code vllm.sh}. */
  private static final int FIRST_PORT = 29500;

  private static final int PORTS = 200;
  private static final int LAST_PORT = 32000;
  private static final Duration LONGEST_START = Duration.ofMinutes(8);
  private static final Duration LONGEST_SETTLING = Duration.ofSeconds(5);
  private static final Path SCRIPTS = scripts();

  /** An engine's addresses; its side channel is 100 ports above its HTTP port. */
  record Address(String name, URI url, String sideChannel) {
    static Address at(String name, int port) {
      return new Address(
          name, URI.create("http://127.0.0.1:" + port), "127.0.0.1:%d".formatted(port + 100));
    }

    int sideChannelPort() {
      return url.getPort() + 100;
    }
  }

  private final int port;
  private final List<String> options;
  private final HttpJson http = new HttpJson();

  private VllmEngines(int port, List<String> options) {
    this.port = port;
    this.options = options;
  }

  private static Path scripts() {
    Path folder = Path.of("").toAbsolutePath();
    while (!Files.exists(folder.resolve("load-tests/vllm/vllm.sh"))) {
      folder = Objects.requireNonNull(folder.getParent(), "no checkout around the test");
    }
    return folder.resolve("load-tests/vllm");
  }

  /** The Python environment that the engines run in; it has NIXL's own package, too. */
  static Path python() {
    String work = System.getenv("VLLM_WORK");
    Path folder = work == null ? SCRIPTS.resolve("work") : Path.of(work);
    return folder.resolve("venv/bin/python");
  }

  /** Skips a test where vLLM was not set up, and says so. */
  static void assumeSetUp(Class<?> test) {
    Path vllm = python().resolveSibling("vllm");
    if (!Files.isExecutable(vllm)) {
      skip(test, "there is no %s; load-tests/vllm/vllm.sh setup makes it".formatted(vllm));
    }
  }

  /** The same where an agent is to stand between the engines. */
  static Nixl.Present assumeSetUpWithNixl(Class<?> test) {
    assumeSetUp(test);
    return switch (Nixl.load(NixlSettings.DEFAULT)) {
      case Nixl.Present present -> present;
      case Nixl.Absent(String reason, String remedy) -> skip(test, reason + "; " + remedy);
    };
  }

  private static Nixl.Present skip(Class<?> test, String reason) {
    String why = "SKIPPED %s: %s".formatted(test.getSimpleName(), reason);
    System.err.println(why);
    return Assumptions.abort(why);
  }

  /** Starts engines with options of {@code vllm.sh up}, and waits until they answer. */
  static VllmEngines up(String... options) throws Exception {
    run(List.of("down"));
    int port = freePort();
    List<String> all = new ArrayList<>(List.of("up", "--limit", "450", "--port", "" + port));
    all.addAll(List.of(options));
    VllmEngines engines = new VllmEngines(port, all);
    try {
      engines.start();
      engines.warmUp();
    } catch (Throwable failed) {
      engines.close();
      throw failed;
    }
    return engines;
  }

  /** An engine's first request takes longer than its later ones, and than probes wait for. */
  private void warmUp() throws Exception {
    for (Address engine : List.of(prefill(), decode())) {
      VllmAnswer answer =
          VllmAnswer.ask(engine.url(), "/v1/completions", VllmAnswer.completion(List.of(8, 9), 2));
      assertThat(answer.status()).as(answer.text()).isEqualTo(200);
    }
  }

  /** The first of as many ports as engines may need, as far as it can be seen. */
  private static int freePort() {
    for (int port = FIRST_PORT; port < LAST_PORT; port += PORTS) {
      if (isFree(port)
          && isFree(port + 10)
          && isFree(port + 20)
          && isFree(port + 110)
          && isFree(port + 120)) {
        return port;
      }
    }
    throw new AssertionError("no free ports from %d to %d".formatted(FIRST_PORT, LAST_PORT));
  }

  private static boolean isFree(int port) {
    try (ServerSocket socket = new ServerSocket(port, 1, InetAddress.getLoopbackAddress())) {
      return socket.isBound();
    } catch (IOException taken) {
      return false;
    }
  }

  /** Starts those that do not run. */
  void start(String... otherwise) throws Exception {
    List<String> all = new ArrayList<>(options);
    all.addAll(List.of(otherwise));
    run(all);
  }

  /** What an engine has said since it was started. */
  String log(Address engine) throws IOException {
    return Files.readString(folder().resolve(engine.name()).resolve("log"));
  }

  void down(String... names) throws Exception {
    List<String> command = new ArrayList<>(List.of("down"));
    command.addAll(List.of(names));
    run(command);
  }

  void kill(String name) throws Exception {
    run(List.of("kill", name));
  }

  /** Stops an engine's processes where they are, or lets them go on. */
  void signal(String name, String signal) throws Exception {
    String pid = Files.readString(folder().resolve(name).resolve("pid")).strip();
    assertThat(new ProcessBuilder("kill", "-" + signal, "--", "-" + pid).start().waitFor())
        .isZero();
  }

  private static Path folder() {
    return SCRIPTS.resolveSibling("../cli/target/vllm").normalize();
  }

  private static void run(List<String> arguments) throws Exception {
    List<String> command = new ArrayList<>(List.of(SCRIPTS.resolve("vllm.sh").toString()));
    command.addAll(arguments);
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().put("VLLM_RUN", folder().toString());
    // Engines outlive the script and inherit its output: a file never waits for them.
    Path log = Files.createDirectories(folder()).resolve("vllm.sh.log");
    Process process =
        builder
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()))
            .start();
    assertThat(process.waitFor(LONGEST_START.toSeconds(), TimeUnit.SECONDS))
        .as(log::toString)
        .isTrue();
    assertThat(process.exitValue()).as("vllm.sh %s: %s", arguments, log).isZero();
  }

  Address aggregated() {
    return Address.at("aggregated", port);
  }

  Address prefill() {
    return Address.at(PREFILL, port + 10);
  }

  Address decode() {
    return Address.at(DECODE, port + 20);
  }

  /** The value of a counter, added up over its labels. */
  double metric(Address engine, String name) {
    return http.text(engine.url().resolve("/metrics"))
        .lines()
        .filter(line -> line.startsWith(name + "{") || line.startsWith(name + " "))
        .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1)))
        .sum();
  }

  /** Bytes that an engine has read from others, once they are as many as expected. */
  long bytesRead(Address engine, long expected) throws InterruptedException {
    Instant limit = Instant.now().plus(LONGEST_SETTLING);
    while (true) {
      long bytes = (long) metric(engine, "vllm:nixl_bytes_transferred_sum");
      // Engines publish a read with the metrics of a later step; nothing says when.
      if (bytes >= expected || Instant.now().isAfter(limit)) {
        return bytes;
      }
      Thread.sleep(50);
    }
  }

  /** Until no block is in use there; returns how long that took. */
  Duration untilFree(Address engine, Duration most) throws InterruptedException {
    Instant start = Instant.now();
    while (metric(engine, "vllm:kv_cache_usage_perc") > 0) {
      assertThat(Duration.between(start, Instant.now())).as("blocks in use").isLessThan(most);
      Thread.sleep(20);
    }
    return Duration.between(start, Instant.now());
  }

  /** What an engine hands over of a prompt that it was asked to compute for another. */
  JsonObject handOff(Address prefill, JsonObject body) {
    JsonObject ask =
        new JsonObject()
            .put("do_remote_decode", true)
            .put("do_remote_prefill", false)
            .putNull("remote_engine_id")
            .putNull("remote_block_ids")
            .putNull("remote_host")
            .putNull("remote_port");
    JsonObject first = body.copy().put("max_tokens", 1).put("kv_transfer_params", ask);
    HttpJson.Answer params = http.post(prefill.url().resolve("/v1/completions"), first, "direct");
    assertThat(params.status()).as(params.body().encode()).isEqualTo(200);
    return params.body().getJsonObject("kv_transfer_params");
  }

  /** Two legs without a router: what vLLM does by itself. */
  VllmAnswer directly(Address prefill, Address decode, JsonObject body) throws Exception {
    return VllmAnswer.ask(
        decode.url(),
        "/v1/completions",
        body.copy().put("kv_transfer_params", handOff(prefill, body)));
  }

  @Override
  public void close() throws Exception {
    http.close();
    down();
  }
}
