package dev.millrace.transfer.nixl;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.DynamicTest;
import org.junit.platform.engine.FilterResult;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.discovery.DiscoverySelectors;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.EngineFilter;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.PostDiscoveryFilter;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/**
 * Runs test classes in a JVM of its own and gives each of their tests back as one of this JVM's.
 *
 * <p>What UCX may use is decided once per process, so tests of another choice need another process;
 * and a crash of NIXL is one failed test there, and not the end of all tests.
 */
final class Isolated {
  private static final Duration PATIENCE = Duration.ofMinutes(5);
  private static final String BEGUN = "begun";

  private Isolated() {}

  /** What became of a test, as the child writes it down. */
  private record Line(String id, String name, String result, String failure) {
    String text() {
      return String.join(" ", hex(id), hex(name), result, failure.isEmpty() ? "-" : hex(failure))
          + "\n";
    }

    static Line of(String text) {
      String[] words = text.split(" ", -1);
      return new Line(
          unhex(words[0]), unhex(words[1]), words[2], words[3].equals("-") ? "" : unhex(words[3]));
    }

    private static String hex(String text) {
      return HexFormat.of().formatHex(text.getBytes(UTF_8));
    }

    private static String unhex(String text) {
      return new String(HexFormat.of().parseHex(text), UTF_8);
    }
  }

  /**
   * The tests of these classes, which have run when this returns.
   *
   * @param transports what UCX may use there, empty for its own choice
   * @param without how the names of methods begin that are left out, empty for none
   */
  static List<DynamicTest> run(Path folder, String transports, String without, Class<?>... tests)
      throws IOException, InterruptedException {
    Path results = folder.resolve("results");
    Path output = folder.resolve("output");
    List<String> command =
        new ArrayList<>(
            List.of(
                System.getProperty("java.home") + "/bin/java",
                "--enable-native-access=ALL-UNNAMED",
                "-Xmx1g",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-XX:-CreateCoredumpOnCrash",
                "-XX:ErrorFile=" + folder.resolve("crash"),
                "-cp",
                System.getProperty("java.class.path"),
                Isolated.class.getName(),
                results.toString(),
                without));
    Arrays.stream(tests).map(Class::getName).forEach(command::add);
    ProcessBuilder builder = new ProcessBuilder(command);
    if (!transports.isEmpty()) {
      builder.environment().put("UCX_TLS", transports);
    }
    Process process = builder.redirectErrorStream(true).redirectOutput(output.toFile()).start();
    boolean ended;
    try {
      ended = process.waitFor(PATIENCE.toSeconds(), TimeUnit.SECONDS);
    } finally {
      process.destroyForcibly().waitFor();
    }
    Map<String, Line> last = new LinkedHashMap<>();
    if (Files.exists(results)) {
      Files.readAllLines(results).stream().map(Line::of).forEach(line -> last.put(line.id(), line));
    }
    String said = Files.readString(output);
    List<DynamicTest> all = new ArrayList<>();
    for (Line line : last.values()) {
      all.add(DynamicTest.dynamicTest(line.name(), () -> assertPassed(line, said)));
    }
    all.add(
        DynamicTest.dynamicTest(
            "the process that ran them ended well",
            () -> {
              assertThat(ended).as("in time; it said:%n%s", said).isTrue();
              assertThat(process.exitValue()).as(said).isZero();
              assertThat(last).isNotEmpty();
            }));
    return all;
  }

  private static void assertPassed(Line line, String said) {
    // Reports count dynamic tests and do not name them.
    System.out.printf("%-10s %s%n", line.result(), line.name());
    if (line.result().equals(BEGUN)) {
      throw new AssertionError(
          "the process ended during %s; it said:%n%s".formatted(line.name(), said));
    }
    if (!line.result().equals(TestExecutionResult.Status.SUCCESSFUL.name())) {
      throw new AssertionError("%s: %s".formatted(line.name(), line.failure()));
    }
  }

  public static void main(String[] arguments) {
    Path results = Path.of(arguments[0]);
    PostDiscoveryFilter without =
        test ->
            FilterResult.includedIf(
                arguments[1].isEmpty()
                    || test.getSource()
                        .filter(MethodSource.class::isInstance)
                        .map(MethodSource.class::cast)
                        .filter(method -> method.getMethodName().startsWith(arguments[1]))
                        .isEmpty());
    LauncherDiscoveryRequest request =
        LauncherDiscoveryRequestBuilder.request()
            .selectors(
                Arrays.stream(arguments).skip(2).map(DiscoverySelectors::selectClass).toList())
            // Another engine would open its files a second time, beside the process that started
            // us.
            .filters(EngineFilter.includeEngines("junit-jupiter"), without)
            .configurationParameter("junit.jupiter.execution.timeout.default", "60 s")
            .build();
    TestExecutionListener writer =
        new TestExecutionListener() {
          @Override
          public void executionStarted(TestIdentifier test) {
            if (test.isTest()) {
              System.out.printf(
                  "> %tT.%<tL %s%n", System.currentTimeMillis(), test.getDisplayName());
              write(test, BEGUN, "");
            }
          }

          @Override
          public void executionFinished(TestIdentifier test, TestExecutionResult result) {
            if (test.isTest() || result.getStatus() != TestExecutionResult.Status.SUCCESSFUL) {
              String failure = result.getThrowable().map(Isolated::trace).orElse("");
              System.out.print(failure);
              write(test, result.getStatus().name(), failure);
            }
          }

          @Override
          public void executionSkipped(TestIdentifier test, String reason) {
            write(test, "SKIPPED", "was skipped: " + reason);
          }

          private void write(TestIdentifier test, String result, String failure) {
            String name = test.getDisplayName();
            if (name.startsWith("[")) {
              // One of several: its method's name is in the id.
              name = test.getUniqueIdObject().getSegments().get(2).getValue() + " " + name;
            }
            try {
              Files.writeString(
                  results,
                  new Line(test.getUniqueId(), name, result, failure).text(),
                  StandardOpenOption.CREATE,
                  StandardOpenOption.APPEND);
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
          }
        };
    LauncherFactory.create().execute(request, writer);
    System.exit(0);
  }

  private static String trace(Throwable failure) {
    StringWriter text = new StringWriter();
    failure.printStackTrace(new PrintWriter(text, true));
    return text.toString();
  }
}
