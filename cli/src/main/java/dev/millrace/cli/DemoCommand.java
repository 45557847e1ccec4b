package dev.millrace.cli;

import dev.millrace.config.Transfer;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.GeometryText;
import dev.millrace.layout.IncompatibleGeometry;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.concurrent.Callable;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code millrace demo}: simulated pools and the router in one go. */
@Command(
    name = "demo",
    description = {
      "Starts simulated prefill and decode engines and the router in front of them.",
      "With --once it sends one request and shows that the answer is the one that a single engine"
          + " gives."
    })
final class DemoCommand implements Callable<Integer> {
  private static final int DEFAULT_PORT = 8080;
  private static final int DEFAULT_ADMIN_PORT = 9090;
  private static final int CACHED_TOKENS = 8192;

  private final StopSignal stop;
  private final Consumer<Demo> whenStarted;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Option(
      names = "--once",
      paramLabel = "PROMPT",
      description = "Send this prompt once, print answer, proof and waterfall, and end.")
  private @Nullable String prompt;

  @Option(names = "--max-tokens", paramLabel = "N", description = "Length of that answer.")
  private int maxTokens = 16;

  @Option(
      names = "--prefill-tp",
      paramLabel = "N",
      description = "Tensor-parallel size of prefill.")
  private int prefillTp = 1;

  @Option(names = "--decode-tp", paramLabel = "N", description = "Tensor-parallel size of decode.")
  private int decodeTp = 2;

  @Option(names = "--prefill-block", paramLabel = "N", description = "Tokens per prefill block.")
  private int prefillBlock = 16;

  @Option(names = "--decode-block", paramLabel = "N", description = "Tokens per decode block.")
  private int decodeBlock = 32;

  @Option(
      names = "--prefill-layout",
      paramLabel = "NAME",
      description = "Layout of prefill caches.")
  private String prefillLayout = "hnd";

  @Option(names = "--decode-layout", paramLabel = "NAME", description = "Layout of decode caches.")
  private String decodeLayout = "hnd";

  @Mixin private ShapeOptions shape = new ShapeOptions();

  @Option(names = "--prefill-count", paramLabel = "N", description = "Number of prefill engines.")
  private int prefillCount = 1;

  @Option(names = "--decode-count", paramLabel = "N", description = "Number of decode engines.")
  private int decodeCount = 1;

  @Option(
      names = "--inter-token-ms",
      paramLabel = "MS",
      description =
          "Time between two tokens of a decode engine; by default 100, and 0 with --once.")
  private @Nullable Long interTokenMillis;

  @Option(
      names = "--port",
      description =
          "The router's port, 0 for any free one; by default 8080, or any if it is taken.")
  private @Nullable Integer port;

  @Option(
      names = "--admin-port",
      paramLabel = "PORT",
      description = "Its port for operators; by default 9090, or any if it is taken.")
  private @Nullable Integer adminPort;

  @Option(
      names = "--transport",
      description =
          "How blocks travel: ${COMPLETION-CANDIDATES}; with nixl (scripts/fetch-nixl.sh gets it)"
              + " engines and a KV agent are processes of their own.")
  private TransportChoice transport = TransportChoice.TCP;

  @Option(
      names = "--transfer",
      description =
          "Who brings them to decode engines: ${COMPLETION-CANDIDATES}. With all but engine the engines"
              + " keep vLLM's rules, and a KV agent stands between those that do not fit; auto takes the"
              + " first way that fits.")
  private Transfer transfer = Transfer.ENGINE;

  DemoCommand(StopSignal stop) {
    this(stop, demo -> {});
  }

  /**
   * A demo that can be tampered with.
   *
   * @param whenStarted gets the demo before the first request
   */
  DemoCommand(StopSignal stop, Consumer<Demo> whenStarted) {
    this.stop = stop;
    this.whenStarted = whenStarted;
  }

  @Override
  public Integer call() {
    PrintWriter out = spec.commandLine().getOut();
    DemoSetup setup = setup(out);
    try (Demo demo = Demo.start(setup, spec.commandLine().getErr())) {
      whenStarted.accept(demo);
      describe(demo, out);
      if (prompt != null) {
        return prove(demo, prompt, maxTokens, out);
      }
      out.println();
      out.println("Try it; Ctrl-C ends the demo:");
      out.println("  " + DemoRequest.curl(demo.routerUrl().toString()));
      out.flush();
      stop.await();
      return ExitCode.DONE;
    }
  }

  private DemoSetup setup(PrintWriter out) {
    Duration interToken =
        Duration.ofMillis(
            interTokenMillis != null
                ? atLeast("--inter-token-ms", 0, interTokenMillis)
                : prompt == null ? 100 : 0);
    int routerPort = port("--port", port, DEFAULT_PORT, out);
    int operatorsPort = port("--admin-port", adminPort, DEFAULT_ADMIN_PORT, out);
    atLeast("--max-tokens", 1, maxTokens);
    return new DemoSetup(
        transport,
        geometry("prefill", prefillTp, prefillBlock, prefillLayout),
        geometry("decode", decodeTp, decodeBlock, decodeLayout),
        (int) atLeast("--prefill-count", 1, prefillCount),
        (int) atLeast("--decode-count", 1, decodeCount),
        routerPort,
        operatorsPort,
        interToken,
        transfer);
  }

  private GeometrySpec geometry(String stage, int tensorParallel, int block, String layout) {
    try {
      GeometrySpec geometry =
          shape.geometry(
              tensorParallel,
              block,
              layout,
              Math.ceilDiv(CACHED_TOKENS, Math.max(1, block)) + 1,
              shape.dtype());
      // Building it once finds what does not go together.
      geometry.geometry();
      return geometry;
    } catch (IllegalArgumentException | IncompatibleGeometry e) {
      throw usage("%s engine: %s".formatted(stage, e.getMessage()));
    }
  }

  private int port(String option, @Nullable Integer asked, int otherwise, PrintWriter out) {
    if (asked != null) {
      if (asked < 0 || asked > 65535) {
        throw usage("%s is %d, must be 0 to 65535".formatted(option, asked));
      }
      return asked;
    }
    if (Startup.isFree(otherwise)) {
      return otherwise;
    }
    if (prompt == null) {
      out.println("port %d is taken, so another one is used (%s)".formatted(otherwise, option));
    }
    return 0;
  }

  private long atLeast(String option, long least, long value) {
    if (value < least) {
      throw usage("%s is %d, must be at least %d".formatted(option, value, least));
    }
    return value;
  }

  private ParameterException usage(String message) {
    return new ParameterException(spec.commandLine(), message);
  }

  private static void describe(Demo demo, PrintWriter out) {
    DemoEngines engines = demo.engines();
    engines.prefill().forEach(engine -> out.println(engineLine("prefill", engine)));
    engines.decode().forEach(engine -> out.println(engineLine("decode", engine)));
    engines.agent().ifPresent(agent -> out.println("%-11s %s".formatted("agent", agent.url())));
    String geometry = GeometryText.format(demo.setup().prefill());
    out.println(
        "%-11s %s  %s, for comparison".formatted("aggregated", demo.aggregated().uri(), geometry));
    out.println("%-11s %s".formatted("router", demo.routerUrl()));
    out.println("%-11s %s".formatted("admin", demo.adminUrl()));
    demo.ways().forEach(way -> out.println("%-11s %s".formatted("way", way)));
  }

  private static String engineLine(String name, DemoEngine engine) {
    return "%-11s %s  %s".formatted(name, engine.uri(), GeometryText.format(engine.geometry()));
  }

  private static int prove(Demo demo, String prompt, int maxTokens, PrintWriter out) {
    Proof proof = Proof.of(demo, prompt, maxTokens);
    out.println();
    out.println("answer:" + proof.answer());
    out.println("equal to the aggregated answer: " + (proof.isEqual() ? "yes" : "no"));
    if (!proof.isEqual()) {
      out.println("aggregated answer:" + proof.expected());
    }
    out.println(
        "moved: %d bytes in %d runs for %d prompt tokens (planned: %d bytes)"
            .formatted(
                proof.moved().bytes(),
                proof.moved().runs(),
                proof.promptTokens(),
                proof.bytesPlanned()));
    proof
        .moved()
        .byLibrary()
        .ifPresent(counted ->
            out.println(
                "%s by its own telemetry: %d bytes in %d descriptors, %d requests"
                    .formatted(
                        counted.library(),
                        counted.bytes(),
                        counted.descriptors(),
                        counted.requests())));
    if (proof.moved().bytes() == 0) {
      out.println("nothing was moved: the decode engine has computed the prompt itself");
    }
    proof
        .waterfall()
        .ifPresent(waterfall -> {
          out.println("where the time went:");
          out.print(WaterfallText.of(waterfall));
        });
    return proof.holds() ? ExitCode.DONE : ExitCode.NOT_SO;
  }
}
