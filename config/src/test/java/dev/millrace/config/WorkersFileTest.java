package dev.millrace.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Workers that stand in a file of their own. */
class WorkersFileTest {
  @TempDir Path folder;
  private Path table = Path.of("");

  @BeforeEach
  void write() throws IOException {
    table =
        Files.writeString(
            folder.resolve("routes.yaml"),
            """
            listen: {keys-file: keys.yaml}
            pools:
              p: {role: prefill, model: m, engine: vllm, workers: [{url: "http://a:1", side-channel: "a:9"}]}
              d: {role: decode, model: m, engine: vllm, workers: [{url: "http://b:1"}], workers-file: d.yaml}
            routes: [{match: {model: m}, prefill: {pool: p}, decode: {pool: d}}]
            """);
  }

  private void file(String text) throws IOException {
    Files.writeString(folder.resolve("d.yaml"), text);
  }

  private List<WorkerAddress> read() {
    RoutingTable read = RoutingTablesTest.valid(RoutingTables.read(table));
    return read.pool(Stage.roundRobin("d")).workers();
  }

  private List<String> complaints() {
    return RoutingTablesTest.lines(RoutingTables.read(table)).stream()
        .map(line -> line.replace(folder + "/", ""))
        .toList();
  }

  @Test
  void workers_areThoseOfTheTableAndOfTheFile() throws IOException {
    file("[{url: \"http://c:1\", side-channel: \"c:9\", labels: {zone: a}}]");

    assertThat(read())
        .extracting(worker -> worker.url() + " " + worker.source())
        .containsExactly("http://b:1 STATIC", "http://c:1 FILE");
    assertThat(read().getLast().sideChannel()).contains(new HostPort("c", 9));
    assertThat(read().getLast().labels()).containsEntry("zone", "a");
  }

  @Test
  void emptyList_isNoMistake() throws IOException {
    file("[]");

    assertThat(read()).hasSize(1);
  }

  @Test
  void emptyListInTheTable_isNoneEither() throws IOException {
    file("[]");
    Files.writeString(
        table, Files.readString(table).replace("workers: [{url: \"http://b:1\"}]", "workers: []"));

    assertThat(read()).isEmpty();
  }

  @Test
  void emptyFile_isOne() throws IOException {
    file("");

    assertThat(complaints()).containsExactly("d.yaml:1:1: is empty; there is nothing to read");
  }

  @Test
  void noFile_isOne() {
    assertThat(complaints())
        .singleElement()
        .asString()
        .startsWith("d.yaml:1:1: there is no such file; looked for ");
  }

  @Test
  void mistakes_areThoseOfAllFilesEachInItsPlace() throws IOException {
    file("- {url: \"http://c:1\"}\n- {url: \"c:1\", lables: {}}\n");
    Files.writeString(table, Files.readString(table).replace("routes: [", "routes: [7, "));

    assertThat(complaints())
        .containsExactly(
            "routes.yaml:5:10: routes[0]: is \"7\", should be a mapping",
            "d.yaml:2:9: [1].url: \"c:1\" is not an http(s) URL such as http://10.0.0.4:8000",
            "d.yaml:2:16: [1].lables: is not a known key; did you mean \"labels\"?");
  }

  @Test
  void workerThatTheTableHas_isNamedWithBothPlaces() throws IOException {
    file("[{url: \"http://c:1\", side-channel: \"a:9\"}]");

    assertThat(complaints())
        .containsExactly(
            "d.yaml:1:36: [0].side-channel: \"a:9\" is listed already, as"
                + " pools.p.workers[0].side-channel on line 3 of routes.yaml; remove one of them");
  }

  @Test
  void effectiveTable_namesTheFileAndShowsItsWorkersAsMembers() throws IOException {
    file("[{url: \"http://c:1\"}]");
    RoutingTable read = RoutingTablesTest.valid(RoutingTables.read(table));

    assertThat(EffectiveTable.of(read).toString())
        .contains("workers-file=" + folder.resolve("d.yaml"))
        .doesNotContain("http://c:1");
    assertThat(EffectiveTable.withMembers(read).toString())
        .contains("members=[{url=http://b:1, data-parallel-size=1, source=static}, {url=http://c:1")
        .contains("source=file");
  }

  @Test
  void filesThatATableNames_areKnownEvenIfItHasMistakes() throws IOException {
    Files.writeString(
        table,
        Files.readString(table)
            .replace("role: decode", "role: moo, upstream: {token-file: t, tls: {authorities: c}}")
            .replace("keys.yaml", "keys.yaml, tls: {certificate: a, key: b}"));

    assertThat(RoutingTables.named(table))
        .extracting(file -> String.valueOf(file.getFileName()))
        .containsExactly("keys.yaml", "a", "b", "d.yaml", "t", "c");
    assertThat(RoutingTables.named(folder.resolve("none.yaml"))).isEmpty();
  }
}
