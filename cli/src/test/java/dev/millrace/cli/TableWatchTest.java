package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

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
  private TableWatch watch = new TableWatch(file);

  @BeforeEach
  void begin() throws Exception {
    file = Files.writeString(folder.resolve("routes.yaml"), "one");
    keys = Files.writeString(folder.resolve("keys.yaml"), "a");
    watch = new TableWatch(file);
    watch.follow(List.of(keys));
  }

  @Test
  void nothingHasChanged() {
    assertThat(watch.look()).isEmpty();
    assertThat(watch.look()).isEmpty();
  }

  @Test
  void change_isNoticedOnceItStays() throws Exception {
    Files.writeString(file, "tw");
    assertThat(watch.look()).as("it may be half").isEmpty();
    Files.writeString(file, "two");
    assertThat(watch.look()).isEmpty();
    assertThat(watch.look()).containsExactly(file);
    assertThat(watch.look()).as("it was told").isEmpty();
  }

  @Test
  void keys_countAsWell() throws Exception {
    Files.writeString(keys, "b");
    assertThat(watch.look()).isEmpty();
    assertThat(watch.look()).containsExactly(keys);
  }

  @Test
  void changeThatWasTakenBack_isNone() throws Exception {
    Files.writeString(file, "two");
    assertThat(watch.look()).isEmpty();
    Files.writeString(file, "one");
    assertThat(watch.look()).isEmpty();
    assertThat(watch.look()).isEmpty();
  }

  @Test
  void fileThatIsExchangedByALink_isNoticed() throws Exception {
    Path other = Files.writeString(folder.resolve("other.yaml"), "two");
    Files.delete(file);
    Files.createSymbolicLink(file, other);
    watch.look();
    assertThat(watch.look()).containsExactly(file);
  }

  @Test
  void fileThatIsNamedAnew_isFollowedFromThenOn() throws Exception {
    Path workers = Files.writeString(folder.resolve("workers.yaml"), "x");
    watch.follow(List.of(workers));
    assertThat(watch.look()).as("it is as it was").isEmpty();

    Files.writeString(keys, "nobody names it any more");
    Files.writeString(workers, "y");

    assertThat(watch.look()).isEmpty();
    assertThat(watch.look()).containsExactly(workers);
  }

  @Test
  void fileThatStaysNamed_isNotForgottenWhenOthersCome() throws Exception {
    Files.writeString(keys, "b");
    watch.follow(List.of(keys, folder.resolve("none.yaml")));

    watch.look();

    assertThat(watch.look()).containsExactly(keys);
  }

  @Test
  void fileThatComesToBe_hasChanged() throws Exception {
    Path workers = folder.resolve("workers.yaml");
    watch.follow(List.of(keys, workers));
    Files.writeString(workers, "x");

    watch.look();

    assertThat(watch.look()).containsExactly(workers);
  }
}
