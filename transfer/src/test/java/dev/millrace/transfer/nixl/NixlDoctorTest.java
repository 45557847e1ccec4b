package dev.millrace.transfer.nixl;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The doctor tells a stranger what is wrong, in words and with a command. */
final class NixlDoctorTest {
  private static final Duration PATIENCE = Duration.ofSeconds(60);

  @Test
  void examine_nothingInstalled_namesTheCommand(@TempDir Path empty) {
    DoctorReport report = NixlDoctor.examine(NixlSettings.DEFAULT.withHome(empty), PATIENCE);

    assertThat(report.isWell()).isFalse();
    assertThat(report.lines())
        .anySatisfy(line -> assertThat(line).contains("FAIL").contains(empty.toString()))
        .anySatisfy(line -> assertThat(line).contains("scripts/fetch-nixl.sh"));
  }

  @Test
  void examine_notALibrary_saysWhatTheLinkerSays(@TempDir Path home) throws Exception {
    Files.writeString(home.resolve("libnixl_capi.so"), "not a library");

    DoctorReport report = NixlDoctor.examine(NixlSettings.DEFAULT.withHome(home), PATIENCE);

    assertThat(report.isWell()).isFalse();
    assertThat(report.lines())
        .anySatisfy(line -> assertThat(line).contains("FAIL").contains("libnixl_capi.so"));
  }

  /** With the library. */
  @NixlInstalled
  @Nested
  final class Installed {
    @Test
    void examine_installed_movesBytes() {
      DoctorReport report = NixlDoctor.examine(NixlSettings.DEFAULT, PATIENCE);

      System.out.println(String.join("\n", report.lines()));
      assertThat(report.isWell()).isTrue();
      assertThat(report.lines())
          .anySatisfy(line -> assertThat(line).contains("1048576 bytes").contains("telemetry"))
          .anySatisfy(line -> assertThat(line).contains("UCX"));
    }

    @Test
    void examine_noSuchInterface_saysSo() {
      NixlSettings wrong =
          new NixlSettings(
              Optional.empty(),
              Optional.of("nosuch0"),
              Optional.empty(),
              Optional.of("tcp"),
              NixlSettings.LogLevel.ERROR,
              Map.of());

      DoctorReport report = NixlDoctor.examine(wrong, PATIENCE);

      System.out.println(String.join("\n", report.lines()));
      assertThat(report.isWell()).isFalse();
      assertThat(report.lines()).anySatisfy(line -> assertThat(line).contains("UCX_NET_DEVICES"));
    }
  }
}
