package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.ElementType;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.Parallelism;
import dev.millrace.simulator.EngineStats;
import dev.millrace.simulator.SimulatedEngine;
import java.io.PrintWriter;
import java.io.Writer;
import java.time.Duration;
import java.time.Instant;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import java.util.stream.Stream;

/** Demos for tests, and what must hold once their requests are through. */
final class TestDemos {
  private TestDemos() {}

  /** TP 1→2, block 16→32, a little model, any ports. */
  static DemoSetup small() {
    ModelShape model = ModelShape.dense(2, 2, 8, ElementType.BFLOAT16);
    GeometrySpec prefill = new GeometrySpec(model, Parallelism.tensor(1), 16, Layout.HND, 257);
    GeometrySpec decode = new GeometrySpec(model, Parallelism.tensor(2), 32, Layout.HND, 129);
    return new DemoSetup(TransportChoice.TCP, prefill, decode, 1, 1, 0, 0, Duration.ZERO);
  }

  /** Starts a demo whose engines are in this process. */
  static Demo start(DemoSetup setup) {
    return Demo.start(setup, new PrintWriter(Writer.nullWriter()));
  }

  /** The engines of a demo that has them in this process. */
  static EnginesHere engines(Demo demo) {
    return (EnginesHere) demo.engines();
  }

  /** What the decode engines have read so far. */
  static BlocksRead blocksRead(Demo demo) {
    try (HttpJson http = new HttpJson()) {
      return demo.blocksRead(http);
    }
  }

  /** No open request, no held block, no place taken. */
  static void assertNothingIsLeft(Demo demo, Instant deadline) throws InterruptedException {
    for (SimulatedEngine engine :
        Stream.concat(
                engines(demo).simulatedPrefill().stream(), engines(demo).simulatedDecode().stream())
            .toList()) {
      await(
          deadline,
          () -> isIdle(engine.stats()),
          () -> engine.config().role() + ": " + engine.stats());
    }
    await(
        deadline,
        () -> demo.router().occupancy().isIdle(),
        () -> "router: " + demo.router().occupancy());
  }

  private static boolean isIdle(EngineStats stats) {
    return stats.openRequests() == 0
        && stats.heldBlocks() == 0
        && stats.usedBlocks() == 0
        && stats.openReads() == 0;
  }

  private static void await(
      Instant deadline, BooleanSupplier condition, Supplier<String> description)
      throws InterruptedException {
    while (!condition.getAsBoolean()) {
      assertThat(Instant.now()).as(description).isBefore(deadline);
      Thread.sleep(5);
    }
  }
}
