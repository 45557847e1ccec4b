package dev.millrace.cli;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A command of Millrace in a process of its own, which is started again when it dies.
 *
 * <p>The child ends with this process, however this one ends, because its standard input does
 * ({@link ParentOption}). What it prints is printed here behind its name, but for the line that
 * says that it is ready.
 */
final class Child implements AutoCloseable {
  private static final Duration LONGEST_START = Duration.ofSeconds(60);
  private static final Duration LONGEST_END = Duration.ofSeconds(12);
  private static final Duration FIRST_PAUSE = Duration.ofMillis(250);
  private static final Duration LONGEST_PAUSE = Duration.ofSeconds(5);

  /** A child that has lived that long has not died of how it was started. */
  private static final Duration STABLE = Duration.ofSeconds(10);

  /** Enough of what a child that never got ready has said. */
  private static final int MOST_LAST_WORDS = 20;

  /** How a child is started. */
  interface Launch {
    /**
     * The command and its flags.
     *
     * @param before what the last child has said when it was ready; empty for the first one
     */
    List<String> arguments(Optional<MatchResult> before) throws IOException;
  }

  private final String name;
  private final Pattern readyLine;
  private final Launch launch;
  private final PrintWriter out;
  private final CompletableFuture<MatchResult> firstReady = new CompletableFuture<>();
  private final List<String> lastWords = new ArrayList<>();
  private final CountDownLatch closing = new CountDownLatch(1);
  private final Thread supervisor;
  private volatile Optional<MatchResult> ready = Optional.empty();
  private volatile @Nullable Process process;

  /**
   * Starts a child; {@link #ready} waits for it.
   *
   * @param readyLine the line by which it says that it is ready
   * @param out takes what it prints
   */
  Child(String name, Pattern readyLine, Launch launch, PrintWriter out) {
    this.name = name;
    this.readyLine = readyLine;
    this.launch = launch;
    this.out = out;
    this.supervisor = Thread.ofPlatform().daemon().name("child-" + name).start(this::supervise);
  }

  /** What the child has said when it was first ready. */
  MatchResult ready() {
    try {
      return firstReady.get(LONGEST_START.toSeconds(), TimeUnit.SECONDS);
    } catch (ExecutionException e) {
      throw e.getCause() instanceof Failure failure
          ? failure
          : new IllegalStateException(name + " did not start", e.getCause());
    } catch (TimeoutException e) {
      throw new IllegalStateException(
          "%s has not started after %d s".formatted(name, LONGEST_START.toSeconds()), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while starting " + name, e);
    }
  }

  /** The number of the process that runs now. */
  long pid() {
    Process present = process;
    return present == null ? -1 : present.pid();
  }

  private boolean isClosing() {
    return closing.getCount() == 0;
  }

  private void supervise() {
    Duration pause = FIRST_PAUSE;
    try {
      while (!isClosing()) {
        long started = System.nanoTime();
        int code = run();
        if (isClosing()) {
          return;
        }
        if (!firstReady.isDone()) {
          firstReady.completeExceptionally(neverReady(code));
          return;
        }
        boolean wasStable = System.nanoTime() - started > STABLE.toNanos();
        pause = wasStable ? FIRST_PAUSE : pause;
        // Whoever ends both of us at once, as Ctrl-C does, asks for no other child.
        if (closing.await(pause.toMillis(), TimeUnit.MILLISECONDS)) {
          return;
        }
        say("has ended with exit code %d and is started again".formatted(code));
        Duration twice = pause.multipliedBy(2);
        pause = twice.compareTo(LONGEST_PAUSE) < 0 ? twice : LONGEST_PAUSE;
      }
    } catch (IOException e) {
      say("cannot be started: " + e.getMessage());
      firstReady.completeExceptionally(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private int run() throws IOException, InterruptedException {
    List<String> arguments = new ArrayList<>(launch.arguments(ready));
    arguments.add("--until-stdin-closes");
    Process started = new ProcessBuilder(OwnCommand.with(arguments)).start();
    process = started;
    Thread errors = pump(started.getErrorStream(), this::hearError);
    Thread output = pump(started.getInputStream(), this::hear);
    if (isClosing()) {
      started.destroyForcibly();
    }
    int code = started.waitFor();
    errors.join();
    output.join();
    return code;
  }

  private Thread pump(InputStream stream, Consumer<String> taker) {
    return Thread.ofPlatform()
        .daemon()
        .name("output-" + name)
        .start(() -> {
          try (BufferedReader lines =
              new BufferedReader(new InputStreamReader(stream, StandardCharsets.UTF_8))) {
            lines.lines().forEach(taker);
          } catch (IOException | UncheckedIOException e) {
            // The child is gone.
          }
        });
  }

  private void hear(String line) {
    Matcher matcher = readyLine.matcher(line);
    if (matcher.find()) {
      MatchResult said = matcher.toMatchResult();
      ready = Optional.of(said);
      firstReady.complete(said);
    } else {
      hearError(line);
    }
  }

  private void hearError(String line) {
    if (firstReady.isDone()) {
      say(line);
      return;
    }
    synchronized (lastWords) {
      if (lastWords.size() < MOST_LAST_WORDS) {
        lastWords.add(line);
      }
    }
  }

  private void say(String line) {
    out.println(name + " | " + line);
    out.flush();
  }

  private RuntimeException neverReady(int code) {
    String words;
    synchronized (lastWords) {
      words = String.join("\n", lastWords);
    }
    // A child's complaint is as good as ours, which has the same beginning.
    String message = "%s: %s".formatted(name, words.replaceFirst("^millrace: ", ""));
    return code == ExitCode.USAGE
        ? Failure.usage(message)
        : new IllegalStateException("%s ended with exit code %d: %s".formatted(name, code, words));
  }

  /** Ends the child, kindly first. */
  @Override
  public void close() {
    closing.countDown();
    Process present = process;
    if (present == null) {
      return;
    }
    try {
      present.getOutputStream().close();
      if (!present.waitFor(LONGEST_END.toMillis(), TimeUnit.MILLISECONDS)) {
        present.destroyForcibly();
      }
      supervisor.join(LONGEST_END);
    } catch (IOException e) {
      present.destroyForcibly();
    } catch (InterruptedException e) {
      present.destroyForcibly();
      Thread.currentThread().interrupt();
    }
  }
}
