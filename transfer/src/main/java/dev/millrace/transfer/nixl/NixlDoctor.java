package dev.millrace.transfer.nixl;

import dev.millrace.transfer.nixl.DoctorReport.Finding;
import dev.millrace.transfer.nixl.DoctorReport.State;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Finds out whether NIXL works on this machine, and if not, why.
 *
 * <p>The library is opened in a process of its own: on a machine where NIXL crashes, the doctor
 * survives and says so. That process logs everything; what NIXL and UCX say about themselves is
 * read from there, since the C API does not tell it.
 */
public final class NixlDoctor {
  private static final String FETCH = "scripts/fetch-nixl.sh";
  private static final int LAST_LOG_LINES = 15;

  private static final Pattern NIXL_VERSION = Pattern.compile("NIXL version: (.*)");
  private static final Pattern UCX_VERSION = Pattern.compile("UCX backend bound to (UCX \\S+)");
  private static final Pattern TRANSPORTS =
      Pattern.compile("(?:intra|inter)-node cfg#\\d+\\s+(.*)");

  private final NixlSettings settings;
  private final Duration patience;
  private final List<Finding> findings = new ArrayList<>();

  private NixlDoctor(NixlSettings settings, Duration patience) {
    this.settings = settings;
    this.patience = patience;
  }

  /**
   * Looks at the install and tries it.
   *
   * @param patience how long the attempt may take
   */
  public static DoctorReport examine(NixlSettings settings, Duration patience) {
    return new NixlDoctor(settings, patience).examine();
  }

  private DoctorReport examine() {
    if (!System.getProperty("os.name").equals("Linux")) {
      ill("platform", "NIXL exists for Linux only", "use the tcp transport here");
      return new DoctorReport(findings, List.of());
    }
    Path home = NixlInstall.home(settings);
    Optional<NixlInstall> install = NixlInstall.find(home);
    if (install.isEmpty()) {
      ill(
          "library",
          "no libnixl_capi.so in " + home,
          "run %s, or point MILLRACE_NIXL_HOME at a NIXL install".formatted(FETCH));
      return new DoctorReport(findings, List.of());
    }
    well("library", install.get().library().toString());
    try {
      return attempt(install.get());
    } catch (IOException e) {
      ill("process", "no process could be started to try it in: " + e.getMessage(), "");
      return new DoctorReport(findings, List.of());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      ill("process", "interrupted", "");
      return new DoctorReport(findings, List.of());
    }
  }

  private DoctorReport attempt(NixlInstall install) throws IOException, InterruptedException {
    Path folder = Files.createTempDirectory("nixl-doctor");
    try {
      Path out = folder.resolve("out");
      Path log = folder.resolve("log");
      ProcessBuilder builder =
          new ProcessBuilder(
                  Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                  "--enable-native-access=ALL-UNNAMED",
                  "-Xmx128m",
                  "-XX:+UseSerialGC",
                  "-XX:TieredStopAtLevel=1",
                  "-XX:-CreateCoredumpOnCrash",
                  "-XX:ErrorFile=" + folder.resolve("crash"),
                  "-cp",
                  System.getProperty("java.class.path"),
                  DoctorProbe.class.getName())
              .redirectOutput(out.toFile())
              .redirectError(log.toFile());
      Map<String, String> environment = builder.environment();
      environment.put("MILLRACE_NIXL_HOME", install.home().toString());
      environment.put("NIXL_LOG_LEVEL", "INFO");
      environment.put("UCX_LOG_LEVEL", "info");
      environment.putAll(settings.forced(install));
      Process process = builder.start();
      boolean ended;
      try {
        ended = process.waitFor(patience.toNanos(), TimeUnit.NANOSECONDS);
      } finally {
        process.destroyForcibly();
      }
      process.waitFor();
      Map<String, String> said = said(out);
      List<String> logged = Files.readAllLines(log);
      tell(said, logged);
      conclude(said, ended, process.exitValue());
      int from = Math.max(0, logged.size() - LAST_LOG_LINES);
      return new DoctorReport(findings, logged.subList(from, logged.size()));
    } finally {
      delete(folder);
    }
  }

  private static Map<String, String> said(Path out) throws IOException {
    Map<String, String> said = new LinkedHashMap<>();
    for (String line : Files.readAllLines(out)) {
      if (line.startsWith(DoctorProbe.PREFIX)) {
        String[] words = line.substring(DoctorProbe.PREFIX.length()).split(" ", 2);
        said.put(words[0], words.length > 1 ? words[1] : "");
      }
    }
    return said;
  }

  private void tell(Map<String, String> said, List<String> logged) {
    Optional<String> loaded = find(NIXL_VERSION, logged);
    String declared = said.getOrDefault("version", NixlInstall.UNKNOWN_VERSION);
    if (said.containsKey("version")) {
      if (declared.equals(NixlInstall.UNKNOWN_VERSION)) {
        add(
            State.NOTE,
            "version",
            "the install does not tell; the library says " + loaded.orElse("nothing"),
            "set MILLRACE_NIXL_VERSION: peers are only let in if both versions are known");
      } else {
        well("version", declared + loaded.map(text -> ", logs " + text).orElse(""));
      }
    }
    pass("symbols", said.get("symbols"));
    pass("ucx", find(UCX_VERSION, logged).orElse(null));
    pass("plugins", said.get("plugins"));
    pass("agents", said.get("agents"));
    pass("transports", find(TRANSPORTS, logged).orElse(null));
    pass("connect", said.get("connect"));
    pass("loopback", said.get("loopback"));
    pass("content", said.get("content"));
  }

  private static Optional<String> find(Pattern pattern, List<String> lines) {
    return lines.stream()
        .map(pattern::matcher)
        .filter(Matcher::find)
        .map(match -> match.group(1).strip())
        .findFirst();
  }

  private void conclude(Map<String, String> said, boolean ended, int exit) {
    if (said.containsKey("absent")) {
      ill("load", said.getOrDefault("absent", ""), said.getOrDefault("remedy", ""));
    } else if (said.containsKey("failed")) {
      ill("loopback", said.getOrDefault("failed", ""), networkRemedy());
    } else if (!ended) {
      ill(
          "loopback",
          "it hung after \"%s\" and was stopped after %d s"
              .formatted(last(said), patience.toSeconds()),
          networkRemedy());
    } else if (exit != 0 || !said.containsKey("end")) {
      ill(
          "loopback",
          "the process ended with code %d after \"%s\"".formatted(exit, last(said)),
          networkRemedy());
    } else {
      well("end", said.getOrDefault("end", ""));
    }
  }

  private static String last(Map<String, String> said) {
    return said.isEmpty() ? "start" : said.keySet().stream().reduce((_, next) -> next).orElse("");
  }

  private static String networkRemedy() {
    return "see what UCX says below; UCX_TLS must have tcp or an RDMA transport, UCX_NET_DEVICES an interface of this machine (ip link). Try UCX_TLS=tcp UCX_NET_DEVICES=lo. Without NIXL, the tcp transport works";
  }

  private void pass(String what, @Nullable String found) {
    if (found != null) {
      well(what, found);
    }
  }

  private void well(String what, String found) {
    add(State.WELL, what, found, "");
  }

  private void ill(String what, String found, String remedy) {
    add(State.ILL, what, found, remedy);
  }

  private void add(State state, String what, String found, String remedy) {
    findings.add(new Finding(state, what, found, remedy));
  }

  private static void delete(Path folder) {
    try (var files = Files.list(folder)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
      Files.delete(folder);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
