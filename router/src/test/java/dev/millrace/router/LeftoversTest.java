package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Admin;
import dev.millrace.config.EngineKind;
import dev.millrace.config.Listen;
import dev.millrace.config.Pool;
import dev.millrace.config.Role;
import dev.millrace.config.Route;
import dev.millrace.config.RoutingTable;
import dev.millrace.config.WorkerAddress;
import dev.millrace.router.agents.Agents;
import dev.millrace.router.handoff.Ledger;
import dev.millrace.router.handoff.Parameters;
import dev.millrace.router.handoff.Pinned;
import dev.millrace.router.pools.Worker;
import dev.millrace.router.pools.Workers;
import dev.millrace.router.probe.EngineCalls;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** What becomes of the blocks of prompts of the router's own. */
final class LeftoversTest {
  @RegisterExtension final Stage stage = new Stage();
  private final Ledger ledger = new Ledger();

  private static Pool pool(String name, Role role, ScriptedEngine engine) {
    return Pool.of(
        name, role, Stage.MODEL, EngineKind.VLLM, List.of(WorkerAddress.of(engine.url())));
  }

  private static Pinned pinned() {
    byte[] answer = Scripts.PREFILLED.getBytes(StandardCharsets.UTF_8);
    return ((Parameters.Found.Blocks) Parameters.find(answer, answer.length)).pinned();
  }

  /** Frees blocks that P holds; completes when that has been tried once. */
  private Future<?> free(ScriptedEngine p, ScriptedEngine d) {
    Workers workers =
        new Workers(
            RoutingTable.of(
                Listen.defaults(),
                Admin.defaults(),
                List.of(pool("p", Role.PREFILL, p), pool("d", Role.DECODE, d)),
                List.of(),
                List.of(
                    Route.of(
                        Stage.MODEL,
                        dev.millrace.config.Stage.roundRobin("p"),
                        dev.millrace.config.Stage.leastActive("d")))));
    Worker holder = workers.ofPool("p").getFirst();
    Promise<Void> tried = Promise.promise();
    stage
        .vertx()
        .runOnContext(v ->
            Agents.watch(stage.vertx(), List.of())
                .onSuccess(agents -> {
                  EngineCalls calls = new EngineCalls(stage.vertx().createHttpClient());
                  Leftovers leftovers =
                      new Leftovers(
                          stage.vertx(), () -> workers, ledger, agents, calls, System::nanoTime);
                  leftovers.free(holder, pinned());
                  leftovers.settled().<Void>mapEmpty().onComplete(tried);
                }));
    return tried.future();
  }

  @Test
  void nobodyCanTellTheHolderYet_itIsTriedUntilSomebodyCan() throws Exception {
    AtomicInteger asked = new AtomicInteger();
    ScriptedEngine d =
        stage.engine((request, wire) -> {
          if (asked.incrementAndGet() < 3) {
            wire.reset();
          } else {
            Scripts.decode().play(request, wire);
          }
        });

    free(stage.engine(Scripts.prefill()), d).await(10, TimeUnit.SECONDS);

    assertThat(ledger.open()).as("tried once").isEqualTo(1);
    Stage.await("the books are closed", () -> ledger.open() == 0);
    assertThat(asked).hasValue(3);
    assertThat(ledger.totals().releasedByRequest()).isEqualTo(1);
  }
}
