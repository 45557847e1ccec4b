package dev.millrace.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.ElementType;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.Parallelism;
import io.vertx.core.Vertx;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * Starts engines for a test. After the test every engine must have come to rest: no open request,
 * no held or used block, no open read.
 */
final class EngineInvariants implements BeforeEachCallback, AfterEachCallback {
  private static final Duration GENEROUS = Duration.ofSeconds(20);

  private final List<SimulatedEngine> engines = new ArrayList<>();
  private Vertx vertx = Vertx.vertx();

  @Override
  public void beforeEach(ExtensionContext context) {
    vertx = Vertx.vertx();
  }

  @Override
  public void afterEach(ExtensionContext context) throws Exception {
    try {
      for (SimulatedEngine engine : engines) {
        await(() -> atRest(engine.stats()), () -> engine.config().role() + " " + engine.stats());
      }
    } finally {
      for (SimulatedEngine engine : engines) {
        engine.close().toCompletionStage().toCompletableFuture().get(20, TimeUnit.SECONDS);
      }
      engines.clear();
      vertx.close().toCompletionStage().toCompletableFuture().get(20, TimeUnit.SECONDS);
    }
  }

  Vertx vertx() {
    return vertx;
  }

  /** Starts an engine. */
  SimulatedEngine start(EngineConfig.Builder config) {
    SimulatedEngine engine =
        SimulatedEngine.start(vertx, config.build())
            .toCompletionStage()
            .toCompletableFuture()
            .orTimeout(20, TimeUnit.SECONDS)
            .join();
    engines.add(engine);
    return engine;
  }

  /** Starts a default engine with changes. */
  SimulatedEngine start(UnaryOperator<EngineConfig.Builder> change) {
    return start(change.apply(EngineConfig.builder()));
  }

  /** A small cache of some shape. */
  static GeometrySpec geometry(int tensor, int blockSize, Layout layout) {
    return geometry(tensor, blockSize, layout, 4096 / blockSize);
  }

  static GeometrySpec geometry(int tensor, int blockSize, Layout layout, int blocks) {
    return new GeometrySpec(
        ModelShape.dense(3, 4, 16, ElementType.BFLOAT16),
        Parallelism.tensor(tensor),
        blockSize,
        layout,
        blocks);
  }

  /** Waits until something is so. */
  static void await(BooleanSupplier condition) {
    await(condition, () -> "condition");
  }

  static void await(BooleanSupplier condition, java.util.function.Supplier<String> what) {
    long deadline = System.nanoTime() + GENEROUS.toNanos();
    while (!condition.getAsBoolean()) {
      assertThat(System.nanoTime()).as("waiting for %s", what.get()).isLessThan(deadline);
      Thread.onSpinWait();
      try {
        Thread.sleep(2);
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
    }
  }

  private static boolean atRest(EngineStats stats) {
    return stats.openRequests() == 0
        && stats.waitingRequests() == 0
        && stats.heldBlocks() == 0
        && stats.usedBlocks() == 0
        && stats.openReads() == 0;
  }
}
