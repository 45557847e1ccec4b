package dev.millrace.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

/** Questions whose answers are workers. */
class WorkersDnsTest {
  private static final String TABLE =
      """
      pools:
        p: {role: prefill, model: m, engine: vllm, workers: [{url: "http://a:1", labels: {zone: a}}]}
        d: {role: decode, model: m, engine: vllm, workers-dns: {QUESTION}}
      routes: [{match: {model: m}, prefill: {pool: p}, decode: {pool: d, prefer-same: zone}}]
      """;

  private static WorkersDns read(String question) {
    RoutingTable table =
        RoutingTablesTest.valid(
            RoutingTables.parse("f", TABLE.replace("QUESTION", question + ", labels: {zone: b}")));
    return table.pool(Stage.roundRobin("d")).workersDns().orElseThrow();
  }

  @Test
  void question_hasItsDefaults() {
    assertThat(read("name: d.svc., port: 8000"))
        .isEqualTo(
            new WorkersDns(
                "d.svc",
                DnsType.A,
                OptionalInt.of(8000),
                UrlScheme.HTTP,
                Duration.ofSeconds(10),
                Optional.empty(),
                OptionalInt.empty(),
                1,
                Map.of("zone", "b")));
  }

  @Test
  void workers_areAtTheAddressesOfTheAnswer() {
    WorkerAddress worker =
        read("name: d.svc, port: 8000, side-channel-port: 5600, data-parallel-size: 2")
            .worker(new HostPort("10.0.0.4", 8000));

    assertThat(worker.url()).hasToString("http://10.0.0.4:8000");
    assertThat(worker.sideChannel(1)).contains(new HostPort("10.0.0.4", 5601));
    assertThat(worker.labels()).containsEntry("zone", "b");
    assertThat(worker.source()).isEqualTo(WorkerSource.DNS);
  }

  @Test
  void addressesOfIpv6_haveBrackets() {
    WorkerAddress worker =
        read("name: d.svc, type: AAAA, port: 8000, scheme: https, side-channel-port: 5600")
            .worker(new HostPort("fd00:0:0:0:0:0:0:4", 8000));

    assertThat(worker.url()).hasToString("https://[fd00:0:0:0:0:0:0:4]:8000");
    assertThat(worker.sideChannel()).hasToString("Optional[[fd00:0:0:0:0:0:0:4]:5600]");
  }

  @Test
  void services_haveTheirPorts() {
    assertThat(read("name: _http._tcp.d.svc, type: SRV").port()).isEmpty();
  }

  @Test
  void labelThatOnlyTheQuestionHas_canBePreferred() {
    assertThat(read("name: d.svc, port: 1").labels()).containsKey("zone");
    assertThat(
            RoutingTablesTest.lines(
                RoutingTables.parse(
                    "f", TABLE.replace("QUESTION", "name: d.svc, port: 1, labels: {rack: b}"))))
        .singleElement()
        .asString()
        .contains("no worker of pool \"d\" has the label \"zone\"; known: rack");
  }
}
