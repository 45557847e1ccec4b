package dev.millrace.cli;

import java.net.URI;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What decode engines say under {@code /metrics} about the blocks that they have read.
 *
 * @param bytes bytes that they have read
 * @param runs runs in which they have read them
 * @param byLibrary the same as the library that moved them counts it; empty if none did
 */
record BlocksRead(long bytes, long runs, Optional<ByLibrary> byLibrary) {
  private static final Pattern LIBRARY =
      Pattern.compile(
          "^millrace_sim_native_bytes_total\\{library=\"([^\"]+)\"}", Pattern.MULTILINE);

  /**
   * What a native library's own telemetry adds up to.
   *
   * @param library its name and version
   * @param requests requests that it has completed
   */
  record ByLibrary(String library, long requests, long descriptors, long bytes) {
    private ByLibrary plus(ByLibrary other) {
      return new ByLibrary(
          library, requests + other.requests, descriptors + other.descriptors, bytes + other.bytes);
    }

    private ByLibrary minus(ByLibrary before) {
      return new ByLibrary(
          library,
          requests - before.requests,
          descriptors - before.descriptors,
          bytes - before.bytes);
    }
  }

  /** What these engines have read since they were started. */
  static BlocksRead of(HttpJson http, List<DemoEngine> engines) {
    return engines.stream()
        .map(engine -> of(http, engine.uri()))
        .reduce(BlocksRead::plus)
        .orElseGet(() -> new BlocksRead(0, 0, Optional.empty()));
  }

  private static BlocksRead of(HttpJson http, URI engine) {
    String page = http.text(engine.resolve("/metrics"));
    Matcher library = LIBRARY.matcher(page);
    Optional<ByLibrary> counted =
        library.find()
            ? Optional.of(
                new ByLibrary(
                    library.group(1),
                    value(page, "millrace_sim_native_requests_total"),
                    value(page, "millrace_sim_native_descriptors_total"),
                    value(page, "millrace_sim_native_bytes_total")))
            : Optional.empty();
    return new BlocksRead(
        value(page, "vllm:nixl_bytes_transferred_sum"),
        value(page, "vllm:nixl_num_descriptors_sum"),
        counted);
  }

  private static long value(String page, String metric) {
    Matcher line =
        Pattern.compile("^" + metric + "\\{[^}]*} (\\S+)$", Pattern.MULTILINE).matcher(page);
    if (!line.find()) {
      throw Failure.unreachable("the engine's /metrics have no " + metric);
    }
    return Math.round(Double.parseDouble(line.group(1)));
  }

  private BlocksRead plus(BlocksRead other) {
    return new BlocksRead(
        bytes + other.bytes,
        runs + other.runs,
        byLibrary.flatMap(mine -> other.byLibrary.map(mine::plus)));
  }

  /** What was read since {@code before}. */
  BlocksRead since(BlocksRead before) {
    return new BlocksRead(
        bytes - before.bytes,
        runs - before.runs,
        byLibrary.flatMap(now -> before.byLibrary.map(now::minus)));
  }
}
