package dev.millrace.bench;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;

/**
 * How fast blocks are read from another process of this host, and how that compares.
 *
 * <p>Every round measures each way once, in processes of their own, so that what else the machine
 * does hits all alike. The table holds medians over the rounds; a ratio is the median of the
 * rounds' own ratios.
 */
final class BlockReads {
  /** A way to read: what it is called, who reads, and what UCX may use. */
  private record Way(String name, String reader, String transports) {}

  private static final String PYTHON = "MILLRACE_NIXL_PYTHON";

  private static final List<Way> WAYS =
      List.of(
          new Way("nixl/cma", "nixl", ""),
          new Way("python/cma", "python", ""),
          new Way("nixl/tcp", "nixl", "tcp"),
          new Way("python/tcp", "python", "tcp"),
          new Way("tcp", "tcp", ""),
          new Way("socket", "socket", ""),
          new Way("memcpy", "memcpy", ""));

  /** One way beside another, and what is asked of that. */
  private record Ratio(String of, String to, String budget) {}

  private static final List<Ratio> RATIOS =
      List.of(
          new Ratio("nixl/cma", "python/cma", "≥ 0.9"),
          new Ratio("nixl/tcp", "python/tcp", "≥ 0.9"),
          new Ratio("tcp", "socket", "≥ 0.7 for 64 KiB"),
          new Ratio("tcp", "nixl/tcp", "≥ 1"));

  private record Cell(int block, String order) {}

  private final long bytes;
  private final Map<Cell, Map<String, List<Double>>> found = new LinkedHashMap<>();

  private BlockReads(long bytes) {
    this.bytes = bytes;
    for (int block : Reader.BLOCK_BYTES) {
      for (String order : List.of("in order", "scattered")) {
        found.put(new Cell(block, order), new TreeMap<>());
      }
    }
  }

  public static void main(String[] arguments) throws IOException, InterruptedException {
    int rounds = Integer.getInteger("rounds", 5);
    BlockReads reads = new BlockReads(Long.getLong("mib", 128) << 20);
    List<Way> ways = new ArrayList<>(WAYS);
    if (System.getenv(PYTHON) == null) {
      System.out.printf(
          "without NIXL's own Python: %s names none (scripts/fetch-nixl-python.sh gets it)%n",
          PYTHON);
      ways.removeIf(way -> way.reader().equals("python"));
    }
    for (int round = 1; round <= rounds; round++) {
      for (Way way : ways) {
        System.out.printf("round %d of %d: %s%n", round, rounds, way.name());
        reads.measure(way);
      }
    }
    reads.print(ways.stream().map(Way::name).toList());
  }

  private void measure(Way way) throws IOException, InterruptedException {
    if (way.reader().equals("python")) {
      try (Owner owner = Owner.launch("nixl", bytes)) {
        Path script = Path.of(System.getProperty("bench.folder"), "reads", "reader.py");
        note(
            way,
            new ProcessBuilder(
                    System.getenv(PYTHON),
                    script.toString(),
                    owner.metadata(),
                    Long.toUnsignedString(owner.address()),
                    Long.toString(bytes))
                .redirectError(ProcessBuilder.Redirect.INHERIT));
      }
    } else {
      note(way, Jvm.of(Reader.class, way.reader(), Long.toString(bytes)));
    }
  }

  private void note(Way way, ProcessBuilder builder) throws IOException, InterruptedException {
    if (!way.transports().isEmpty()) {
      builder.environment().put("UCX_TLS", way.transports());
    }
    Process process = builder.start();
    try (BufferedReader lines = process.inputReader()) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        String[] words = line.split(";", -1);
        if (words.length == 3) {
          note(way, words);
        }
      }
    }
    if (process.waitFor() != 0) {
      throw new IOException(way.name() + " failed");
    }
  }

  /** A stream has no blocks: it stands beside all of them. */
  private void note(Way way, String[] words) {
    int block = Integer.parseInt(words[0]);
    double gigabytes = Double.parseDouble(words[2]) / 1e9;
    found.forEach((cell, ways) -> {
      if (block == 0 || (cell.block() == block && cell.order().equals(words[1]))) {
        ways.computeIfAbsent(way.name(), name -> new ArrayList<>()).add(gigabytes);
      }
    });
  }

  private void print(List<String> ways) {
    List<Ratio> ratios =
        RATIOS.stream()
            .filter(ratio -> ways.contains(ratio.of()) && ways.contains(ratio.to()))
            .toList();
    StringBuilder table = new StringBuilder("\nGB/s, medians; then ratios.\n\n| runs |");
    ways.forEach(way -> table.append(' ').append(way).append(" |"));
    ratios.forEach(ratio -> table.append(" %s : %s |".formatted(ratio.of(), ratio.to())));
    table.append("\n|---|").append("--:|".repeat(ways.size() + ratios.size())).append('\n');
    found.forEach((cell, of) -> {
      table.append("| %s %s |".formatted(size(cell.block()), cell.order()));
      ways.forEach(way -> table.append(" %.2f |".formatted(median(figures(of, way)))));
      ratios.forEach(ratio ->
          table.append(
              " %.2f |".formatted(ratio(figures(of, ratio.of()), figures(of, ratio.to())))));
      table.append('\n');
    });
    table.append("| *budget* |").append(" |".repeat(ways.size()));
    ratios.forEach(ratio -> table.append(" %s |".formatted(ratio.budget())));
    System.out.println(table);
  }

  private static List<Double> figures(Map<String, List<Double>> of, String way) {
    return Objects.requireNonNull(of.get(way), way);
  }

  private static String size(int bytes) {
    return bytes < 1024
        ? bytes + " B"
        : bytes < 1 << 20
            ? String.format(Locale.ROOT, "%d KiB", bytes >> 10)
            : String.format(Locale.ROOT, "%d MiB", bytes >> 20);
  }

  private static double ratio(List<Double> of, List<Double> to) {
    List<Double> each = new ArrayList<>();
    for (int round = 0; round < of.size(); round++) {
      each.add(of.get(round) / to.get(round));
    }
    return median(each);
  }

  private static double median(List<Double> numbers) {
    return numbers.stream().sorted().skip(numbers.size() / 2).findFirst().orElseThrow();
  }
}
