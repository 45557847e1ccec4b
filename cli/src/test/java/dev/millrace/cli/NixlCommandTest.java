package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NixlCommandTest {
  @TempDir Path empty;

  @Test
  void doctor_noLibrary_saysHowToGetIt() {
    CommandLineRun run = CommandLineRun.of("nixl", "doctor", "--home", empty.toString());

    assertThat(run.exitCode()).isEqualTo(ExitCode.NOT_SO);
    assertThat(run.out())
        .contains("FAIL")
        .contains(empty.toString())
        .contains("scripts/fetch-nixl.sh");
    assertThat(run.err()).isEmpty();
  }

  @Test
  void nixl_noSubcommand_namesIt() {
    assertThat(CommandLineRun.of("nixl").assertFailed(ExitCode.USAGE).err()).contains("doctor");
  }
}
