package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.vertx.core.json.JsonObject;
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

  private static final int PORT = 28500;
  private static final Duration LONGEST_START = Duration.ofMinutes(8);
  private static final Duration LONGEST_SETTLING = Duration.ofSeconds(5);
  private static final Path SCRIPTS = scripts();

  /** An engine's addresses; its side channel is 100 ports above its HTTP port. */
  record Address(URI url, String sideChannel) {
    static Address at(int port) {
      return new Address(
          URI.create("http://127.0.0.1:" + port), "127.0.0.1:%d".formatted(port + 100));
    }
  }

  private final List<String> options;
  private final HttpJson http = new HttpJson();

  private VllmEngines(List<String> options) {
    this.options = options;
  }

  private static Path scripts() {
    Path folder = Path.of("").toAbsolutePath();
    while (!Files.exists(folder.resolve("load-tests/vllm/vllm.sh"))) {
      folder = Objects.requireNonNull(folder.getParent(), "no checkout around the test");
    }
    return folder.resolve("load-tests/vllm");
  }

  /** Skips a test where vLLM was not set up, and says so. */
  static void assumeSetUp(Class<?> test) {
    String work = System.getenv("VLLM_WORK");
    Path folder = work == null ? SCRIPTS.resolve("work") : Path.of(work);
    if (!Files.isExecutable(folder.resolve("venv/bin/vllm"))) {
      String why =
          "SKIPPED %s: there is no vLLM in %s; load-tests/vllm/vllm.sh setup makes it"
              .formatted(test.getSimpleName(), folder);
      System.err.println(why);
      Assumptions.abort(why);
    }
  }

  /** Starts engines with options of {@code vllm.sh up}, and waits until they answer. */
  static VllmEngines up(String... options) throws Exception {
    List<String> all = new ArrayList<>(List.of("up", "--port", "" + PORT));
    all.addAll(List.of(options));
    VllmEngines engines = new VllmEngines(all);
    engines.down();
    engines.start();
    return engines;
  }

  /** Starts those that do not run. */
  void start() throws Exception {
    run(options);
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
    return Address.at(PORT);
  }

  Address prefill() {
    return Address.at(PORT + 10);
  }

  Address decode() {
    return Address.at(PORT + 20);
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

  /** Two legs without a router: what vLLM does by itself. */
  VllmAnswer directly(Address prefill, Address decode, JsonObject body) throws Exception {
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
    return VllmAnswer.ask(
        decode.url(),
        "/v1/completions",
        body.copy().put("kv_transfer_params", params.body().getJsonObject("kv_transfer_params")));
  }

  @Override
  public void close() throws Exception {
    http.close();
    down();
  }
}
