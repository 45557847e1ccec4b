package dev.millrace.router.choose;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Loaded;
import dev.millrace.config.RoutingTable;
import dev.millrace.config.RoutingTables;
import dev.millrace.router.edges.ProfileJudge;
import dev.millrace.router.edges.RouteEdges;
import dev.millrace.router.edges.Watch;
import dev.millrace.router.pools.Worker;
import dev.millrace.router.pools.Workers;
import dev.millrace.router.probe.EngineCalls;
import dev.millrace.router.probe.Prober;
import dev.millrace.transfer.sidechannel.SideChannelClient;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Pairs of workers, by what a route says of its requests and its workers' places. */
final class ChooserTest {
  private final Vertx vertx = Vertx.vertx();
  private final SideChannelClient sideChannels = new SideChannelClient();
  private @Nullable Workers known;

  @AfterEach
  void close() throws Exception {
    sideChannels.close();
    vertx.close().await(10, TimeUnit.SECONDS);
  }

  private Chooser chooser(String route) {
    return chooser(route, null);
  }

  /** After another one, whose workers it has. */
  private Chooser chooser(String route, @Nullable Chooser before) {
    String text =
        """
        pools:
          p:
            {role: prefill, model: m, engine: vllm, workers: [
              {url: "http://p-a", labels: {zone: a}}, {url: "http://p-b", labels: {zone: b}}, {url: "http://p"}]}
          d:
            {role: decode, model: m, engine: vllm, workers: [
              {url: "http://d-a1", labels: {zone: a}}, {url: "http://d-b", labels: {zone: b}},
              {url: "http://d-a2", labels: {zone: a}}, {url: "http://d-c", labels: {zone: c}}]}
        routes:
          - {match: {model: m}, verify: trust, %s}
        """
            .formatted(route);
    RoutingTable table =
        RoutingTables.parse("test", text) instanceof Loaded.Valid valid
            ? valid.table()
            : fail(text);
    Workers workers = known == null ? new Workers(table) : new Workers(table, known);
    known = workers;
    EngineCalls calls = new EngineCalls(vertx.createHttpClient());
    Prober prober = new Prober(vertx, calls, sideChannels, (worker, blocks) -> {});
    Watch watch =
        new Watch(
            vertx,
            prober,
            new ProfileJudge(false),
            flight -> Future.succeededFuture(),
            System::nanoTime);
    RouteEdges edges = watch.edges(table.routes().getFirst(), workers);
    return new Chooser(
        edges, workers, new AtomicInteger(), new Random(1), System::nanoTime, before);
  }

  private static RoutingTable fail(String text) {
    throw new AssertionError("not a table: " + text);
  }

  private static Choice.Disaggregate pair(Chooser chooser, Traits traits) {
    return chooser.choose(traits, new Blame()) instanceof Choice.Disaggregate pair
        ? pair
        : failPair();
  }

  private static Choice.Disaggregate failPair() {
    throw new AssertionError("no pair");
  }

  private static String zone(Worker worker) {
    return worker.label("zone").orElse("none");
  }

  @Test
  void preferSame_staysInTheZoneWhileThereIsRoom() {
    Chooser chooser = chooser("prefill: {pool: p}, decode: {pool: d, prefer-same: zone}");
    int together = 0;
    int apart = 0;
    for (int i = 0; i < 300; i++) {
      Choice.Disaggregate pair = pair(chooser, Samples.anonymous());
      String wanted = zone(pair.prefill().worker());
      if (!wanted.equals("none")) {
        boolean same = wanted.equals(zone(pair.decode().worker()));
        together += same ? 1 : 0;
        apart += same ? 0 : 1;
      }
      pair.prefill().release();
      pair.decode().release();
    }

    assertThat(together).isEqualTo(200);
    assertThat(apart).isZero();
  }

  @Test
  void preferSame_goesElsewhereWhereTheZoneIsFull() {
    Chooser chooser = chooser("prefill: {pool: p}, decode: {pool: d, prefer-same: zone}");
    Worker alone = chooser.edges().edges().get(1).decode();
    assertThat(zone(alone)).isEqualTo("b");
    for (int i = 0; i < 20; i++) {
      alone.reserve(1);
    }

    Set<String> zones = new HashSet<>();
    for (int i = 0; i < 30; i++) {
      Choice.Disaggregate pair = pair(chooser, Samples.anonymous());
      if (zone(pair.prefill().worker()).equals("b")) {
        zones.add(zone(pair.decode().worker()));
      }
      pair.prefill().release();
      pair.decode().release();
    }

    assertThat(zones).isNotEmpty().doesNotContain("b");
  }

  /** What it is worth: exchanges that do not leave their zone, with one of two decode workers. */
  @Test
  void preferSame_inNumbers() {
    int withoutPreference = inZone("prefill: {pool: p}, decode: {pool: d}");
    int withPreference = inZone("prefill: {pool: p}, decode: {pool: d, prefer-same: zone}");
    System.out.printf(
        "exchanges of 200 within a zone, 12 at a time: round-robin %d, prefer-same" + " %d%n",
        withoutPreference, withPreference);

    assertThat(withPreference).isGreaterThan(2 * withoutPreference);
  }

  private int inZone(String route) {
    Chooser chooser = chooser(route);
    Deque<Choice.Disaggregate> underway = new ArrayDeque<>();
    int same = 0;
    for (int i = 0; i < 300; i++) {
      Choice.Disaggregate pair = pair(chooser, Samples.anonymous());
      same += zone(pair.prefill().worker()).equals(zone(pair.decode().worker())) ? 1 : 0;
      underway.add(pair);
      if (underway.size() == 12) {
        Choice.Disaggregate ended = underway.remove();
        ended.prefill().release();
        ended.decode().release();
      }
    }
    return same;
  }

  @ParameterizedTest
  @CsvSource({"97, true", "98, false"})
  void bypass_sendsShortPromptsToADecodeWorkerAlone(int letters, boolean alone) {
    Chooser chooser =
        chooser("prefill: {pool: p}, decode: {pool: d}, bypass: {prompt-bytes-below: 100B}");

    // Two quotes are bytes too.
    Choice choice = chooser.choose(Samples.prompt("x".repeat(letters)), new Blame());

    assertThat(choice instanceof Choice.DecodeOnly).isEqualTo(alone);
    if (choice instanceof Choice.DecodeOnly(_, String why)) {
      assertThat(why)
          .isEqualTo("its prompt has 99 bytes, and its route hands over those from 100 bytes on");
    }
  }

  /** A table is read anew for whatever reason; engines forget nothing by it. */
  @ParameterizedTest
  @CsvSource({"125, true", "150, false"})
  void nextTablesChooser_knowsWherePromptsWent_ifTheStageIsTheSame(int percent, boolean knows) {
    String route =
        "prefill: {pool: p, policy: prefix-affinity, balance-percent: %d}, decode: {pool: d}";
    Traits prompt = Samples.prompt("x".repeat(3000));
    Chooser first = chooser(route.formatted(125));
    Worker third = first.edges().edges().getLast().prefill();
    first.prefillSent(third, prompt);

    Chooser next = chooser(route.formatted(percent), first);

    assertThat(pair(next, prompt).prefill().worker().equals(third)).isEqualTo(knows);
  }

  @Test
  void blamedWorkerOfASession_isLeftToTheOthers() {
    Chooser chooser =
        chooser(
            "prefill: {pool: p}, decode: {pool: d, policy: session-affinity, session: {header:"
                + " x-session-id}}");
    Traits session = Samples.session("alice");
    Worker first = pair(chooser, session).decode().worker();
    Blame blame = new Blame();
    blame.on(first);

    List<Worker> others =
        chooser.edges().edges().stream()
            .map(edge -> edge.decode())
            .filter(worker -> !worker.equals(first))
            .distinct()
            .toList();
    Choice choice = chooser.choose(session, blame);

    assertThat(choice).isInstanceOf(Choice.Disaggregate.class);
    assertThat(others).contains(((Choice.Disaggregate) choice).decode().worker());
  }
}
