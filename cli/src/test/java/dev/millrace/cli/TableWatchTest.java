package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Admin;
import dev.millrace.config.EngineKind;
import dev.millrace.config.Listen;
import dev.millrace.config.Pool;
import dev.millrace.config.Role;
import dev.millrace.config.Route;
import dev.millrace.config.RoutingTable;
import dev.millrace.config.Stage;
import dev.millrace.config.WorkerAddress;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TableWatchTest {
  @TempDir Path folder;
  private Path file = Path.of("");
  private Path keys = Path.of("");
  private TableWatch watch = new TableWatch(file, table(keys));

  private static RoutingTable table(Path keys) {
    Pool pool =
        Pool.of(
            "b",
            Role.BOTH,
            "tiny",
            EngineKind.VLLM,
            List.of(WorkerAddress.of(URI.create("http://127.0.0.1:8000"))));
    return RoutingTable.of(
        Listen.defaults().withKeysFile(keys),
        Admin.defaults(),
        List.of(pool),
        List.of(Route.aggregated("tiny", Stage.roundRobin("b"))));
  }

  @BeforeEach
  void begin() throws Exception {
    file = Files.writeString(folder.resolve("routes.yaml"), "one");
    keys = Files.writeString(folder.resolve("keys.yaml"), "a");
    watch = new TableWatch(file, table(keys));
  }

  @Test
  void nothingHasChanged() {
    assertThat(watch.look()).isFalse();
    assertThat(watch.look()).isFalse();
  }

  @Test
  void change_isNoticedOnceItStays() throws Exception {
    Files.writeString(file, "tw");
    assertThat(watch.look()).as("it may be half").isFalse();
    Files.writeString(file, "two");
    assertThat(watch.look()).isFalse();
    assertThat(watch.look()).isTrue();
    assertThat(watch.look()).as("it was told").isFalse();
  }

  @Test
  void keys_countAsWell() throws Exception {
    Files.writeString(keys, "b");
    assertThat(watch.look()).isFalse();
    assertThat(watch.look()).isTrue();
  }

  @Test
  void changeThatWasTakenBack_isNone() throws Exception {
    Files.writeString(file, "two");
    assertThat(watch.look()).isFalse();
    Files.writeString(file, "one");
    assertThat(watch.look()).isFalse();
    assertThat(watch.look()).isFalse();
  }

  @Test
  void fileThatIsExchangedByALink_isNoticed() throws Exception {
    Path other = Files.writeString(folder.resolve("other.yaml"), "two");
    Files.delete(file);
    Files.createSymbolicLink(file, other);
    watch.look();
    assertThat(watch.look()).isTrue();
  }
}
