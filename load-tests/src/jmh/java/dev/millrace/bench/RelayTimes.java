package dev.millrace.bench;

import java.io.BufferedReader;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;

/**
 * What a prompt's way over a relay takes, beside its way from engine to engine.
 *
 * <p>Prefill engine, agent and decode engine are processes of their own. Every round takes each
 * prompt over in both ways, one after the other, so that what else the machine does hits both. The
 * table holds medians over the rounds; a ratio is the median of the rounds' own ratios. Engines
 * that do not fit have no way of their own: beside them stands the same prefill engine read by one
 * like itself.
 */
final class RelayTimes {
  /**
   * Tokens that the prefill engine has memory for; longer prompts have blocks twice. It is a
   * gibibyte, more than any cache of a processor, and leaves room for the two copies.
   */
  private static final int PREFILL_TOKENS = 8192;

  private record Pair(String prefill, String decode) {}

  private static final List<Pair> PAIRS =
      List.of(
          new Pair("block=16,layout=hnd", "block=16,layout=hnd"),
          new Pair("block=64,layout=nhd", "block=16,layout=nhd"),
          new Pair("block=64,layout=hnd", "block=16,layout=nhd"));

  private record Cell(String transport, Pair pair, int tokens) {}

  /** One hand-over, in microseconds. */
  private record Times(long all, long agent, long own) {}

  private final Map<Cell, List<Times>> engine = new LinkedHashMap<>();
  private final Map<Cell, List<Times>> relay = new LinkedHashMap<>();
  private final Map<Cell, String> ways = new LinkedHashMap<>();

  private RelayTimes() {}

  public static void main(String[] arguments) throws IOException, InterruptedException {
    int rounds = Integer.getInteger("rounds", 5);
    List<String> tokens =
        List.of(System.getProperty("tokens", "1024 8192 32768").strip().split(" +"));
    RelayTimes times = new RelayTimes();
    for (String transport : List.of("nixl", "tcp")) {
      for (Pair pair : PAIRS) {
        System.out.printf("%s, %s to %s%n", transport, pair.prefill(), pair.decode());
        times.measure(transport, pair, rounds, tokens);
      }
    }
    times.print();
  }

  private void measure(String transport, Pair pair, int rounds, List<String> tokens)
      throws IOException, InterruptedException {
    List<String> arguments =
        new ArrayList<>(
            List.of(
                transport,
                pair.prefill(),
                pair.decode(),
                Integer.toString(PREFILL_TOKENS),
                Integer.toString(rounds)));
    arguments.addAll(tokens);
    Process reader = Jvm.of(RelayReader.class, arguments.toArray(String[]::new)).start();
    try (BufferedReader lines = reader.inputReader()) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        String[] words = line.split(";", -1);
        if (words.length == 5) {
          note(transport, pair, words);
        }
      }
    }
    if (reader.waitFor() != 0) {
      throw new IOException("the relay over %s failed".formatted(transport));
    }
  }

  private void note(String transport, Pair pair, String[] words) {
    Cell cell = new Cell(transport, pair, Integer.parseInt(words[0]));
    Times times =
        new Times(Long.parseLong(words[2]), Long.parseLong(words[3]), Long.parseLong(words[4]));
    boolean direct = words[1].equals("engine");
    (direct ? engine : relay).computeIfAbsent(cell, any -> new ArrayList<>()).add(times);
    if (!direct) {
      ways.put(cell, words[1].equals("WAY_RELAYED") ? "read to its place" : "permuted");
    }
  }

  private void print() {
    StringBuilder table =
        new StringBuilder(
            """

            | | prefill | decode | tokens | engine ms | GB/s | relay ms | agent | reading from it | GB/s | blocks are | relay : engine |
            |---|---|---|--:|--:|--:|--:|--:|--:|--:|---|--:|
            """);
    engine.forEach((cell, direct) -> {
      List<Times> over = Objects.requireNonNull(relay.get(cell));
      double engineMillis = median(direct.stream().map(each -> each.all() / 1e3));
      double relayMillis = median(over.stream().map(each -> each.all() / 1e3));
      List<Double> ratios = new ArrayList<>();
      for (int i = 0; i < direct.size(); i++) {
        ratios.add((double) over.get(i).all() / direct.get(i).all());
      }
      double megabytes = cell.tokens() * Cache.TOKEN_BYTES / 1e6;
      table.append(
          String.format(
              Locale.ROOT,
              "| %s | %s | %s | %d | %.0f | %.2f | %.0f | %.0f | %.0f | %.2f | %s | %.2f |%n",
              cell.transport(),
              shown(cell.pair().prefill()),
              shown(cell.pair().decode()),
              cell.tokens(),
              engineMillis,
              megabytes / engineMillis,
              relayMillis,
              median(over.stream().map(each -> each.agent() / 1e3)),
              median(over.stream().map(each -> each.own() / 1e3)),
              megabytes / relayMillis,
              ways.get(cell),
              median(ratios.stream())));
    });
    System.out.println(table);
  }

  private static String shown(String shape) {
    return shape.replace("block=", "").replace(",layout=", " ");
  }

  private static double median(Stream<Double> numbers) {
    List<Double> sorted = numbers.sorted().toList();
    return sorted.get(sorted.size() / 2);
  }
}
