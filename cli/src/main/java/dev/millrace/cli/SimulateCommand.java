package dev.millrace.cli;

import dev.millrace.layout.ElementType;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.IncompatibleGeometry;
import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.EngineRole;
import dev.millrace.simulator.Pairing;
import dev.millrace.simulator.SimulatedEngine;
import dev.millrace.simulator.Timing;
import io.vertx.core.Vertx;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code millrace simulate}: one simulated engine. */
@Command(
    name = "simulate",
    description = "Runs one simulated engine: vLLM's protocol and real KV blocks, no GPU.")
final class SimulateCommand implements Callable<Integer> {
  private final StopSignal stop;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Option(
      names = "--role",
      required = true,
      description = "What it is deployed for: ${COMPLETION-CANDIDATES}.")
  private EngineRole role = EngineRole.BOTH;

  @Option(names = "--model", paramLabel = "NAME", description = "Name of the model it serves.")
  private String model = "tiny";

  @Option(names = "--host", description = "Address to listen on.")
  private String host = "127.0.0.1";

  @Option(names = "--port", description = "HTTP port, 0 for any free one.")
  private int port = 8000;

  @Option(
      names = "--side-channel-port",
      paramLabel = "PORT",
      description = "Port of the handshake listener, 0 for any free one.")
  private int sideChannelPort;

  @Option(
      names = "--data-parallel-size",
      paramLabel = "N",
      description =
          "Engines behind the HTTP port, which requests pick by X-data-parallel-rank; each has its"
              + " own cache, and the side channel on the port after that of the one before it.")
  private int dataParallel = 1;

  @Option(names = "--tp", paramLabel = "N", description = "Tensor-parallel size.")
  private int tensorParallel = 1;

  @Option(names = "--block-size", paramLabel = "N", description = "Tokens per block.")
  private int blockSize = 16;

  @Option(
      names = "--layout",
      description =
          "Layout of the cache: hnd, nhd, cross-layer and others (a wrong one lists them).")
  private String layout = "hnd";

  @Mixin private ShapeOptions shape = new ShapeOptions();

  @Option(
      names = "--blocks",
      paramLabel = "N",
      description = "Blocks per rank, or a few more where a state needs several.")
  private int blocks = 512;

  @Option(
      names = "--prefill-tokens-per-second",
      paramLabel = "N",
      description = "How fast it computes prompts; 0 is as fast as possible.")
  private double prefillTokensPerSecond;

  @Option(
      names = "--inter-token-ms",
      paramLabel = "MS",
      description = "Time between two tokens; 0 is as fast as possible.")
  private long interTokenMillis;

  @Option(
      names = "--pairing",
      description =
          "From whom it loads: any engine that a plan can serve, or those that vLLM accepts, with or"
              + " without a look at the hash: ${COMPLETION-CANDIDATES}.")
  private Pairing pairing = Pairing.ANY;

  @Option(
      names = "--lease",
      paramLabel = "SECONDS",
      description =
          "How long blocks stay pinned for a decode engine that gives no sign; by default as in the"
              + " vLLM that is played.")
  private @Nullable Long leaseSeconds;

  @Mixin private VllmOptions vllm = new VllmOptions();

  @Option(
      names = "--transport",
      description =
          "How its blocks travel: ${COMPLETION-CANDIDATES}; nixl loads NIXL"
              + " (scripts/fetch-nixl.sh gets it).")
  private TransportChoice transport = TransportChoice.TCP;

  @Option(
      names = "--plain",
      description = "Answer canned tokens as fast as possible, without any KV cache.")
  private boolean plain;

  @Mixin private ParentOption parent = new ParentOption();

  SimulateCommand(StopSignal stop) {
    this.stop = stop;
  }

  @Override
  public Integer call() {
    EngineConfig config = config();
    parent.watch(stop);
    Vertx vertx = Vertx.vertx();
    try {
      String what = "the simulated engine at %s:%d".formatted(host, port);
      SimulatedEngine engine = Startup.started(what, SimulatedEngine.start(vertx, config));
      PrintWriter out = spec.commandLine().getOut();
      out.println(
          "%s engine of model %s at %s%s"
              .formatted(Words.of(role), model, engine.uri(), particulars(engine)));
      out.flush();
      stop.await();
      Startup.closed(engine.close());
      return ExitCode.DONE;
    } finally {
      Startup.closed(vertx.close());
    }
  }

  private String particulars(SimulatedEngine engine) {
    if (plain) {
      return ", plain";
    }
    String ranks = dataParallel == 1 ? "" : ", %d data-parallel ranks".formatted(dataParallel);
    String sideChannel = "%s, side channel %s:%d".formatted(ranks, host, engine.sideChannelPort());
    return engine
        .nativeTransfers()
        .map(library -> sideChannel + ", " + library.library())
        .orElse(sideChannel);
  }

  /** What the flags say. */
  EngineConfig config() {
    try {
      ElementType dtype = shape.dtype();
      GeometrySpec geometry =
          shape.geometry(tensorParallel, blockSize, layout, blocks, vllm.element(dtype));
      // Building it once finds what does not go together.
      geometry.geometry();
      EngineConfig.Builder engine =
          EngineConfig.builder()
              .role(role)
              .model(model)
              .host(host)
              .port(inRange("--port", port))
              .sideChannelPort(inRange("--side-channel-port", sideChannelPort))
              .dataParallel(dataParallel)
              .timing(new Timing(prefillTokensPerSecond, Duration.ofMillis(interTokenMillis)))
              .transport(transport.engineTransport())
              .plain(plain);
      vllm.apply(engine, geometry, dtype, pairing);
      if (leaseSeconds != null) {
        engine.lease(Duration.ofSeconds(leaseSeconds));
      }
      return engine.build();
    } catch (IllegalArgumentException | IncompatibleGeometry e) {
      throw new ParameterException(spec.commandLine(), String.valueOf(e.getMessage()), e);
    }
  }

  private static int inRange(String option, int port) {
    if (port < 0 || port > 65535) {
      throw new IllegalArgumentException("%s is %d, must be 0 to 65535".formatted(option, port));
    }
    return port;
  }
}
