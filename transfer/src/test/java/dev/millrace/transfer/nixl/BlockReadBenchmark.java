package dev.millrace.transfer.nixl;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.millrace.transfer.BlockTransport;
import dev.millrace.transfer.Pattern;
import dev.millrace.transfer.Peer;
import dev.millrace.transfer.ReadOutcome;
import dev.millrace.transfer.RemoteOwner;
import dev.millrace.transfer.RunList;
import dev.millrace.transfer.SharedSecret;
import dev.millrace.transfer.tcp.TcpTransport;
import dev.millrace.transfer.tcp.TcpTransportOptions;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * How fast blocks are read from another process of this host: NIXL as UCX likes it, NIXL over TCP,
 * the TCP transport, one plain socket, and memcpy for scale.
 *
 * <p>Every round measures each of them once, in processes of their own, so that what else the
 * machine does hits all alike; compare figures of one round, not absolute ones.
 *
 * <pre>
 * java -cp … dev.millrace.transfer.nixl.BlockReadBenchmark [rounds] [MiB]
 * </pre>
 */
final class BlockReadBenchmark {
  private static final int[] BLOCK_BYTES = {4 << 10, 64 << 10, 1 << 20};
  private static final int REPETITIONS = 5;
  private static final Duration PATIENCE = Duration.ofSeconds(60);
  private static final String MEASURE = "measure";
  private static final List<String> VARIANTS =
      List.of("nixl", "nixl/tcp", "tcp", "socket", "memcpy");

  private BlockReadBenchmark() {}

  public static void main(String[] arguments) throws Exception {
    if (arguments.length > 0 && arguments[0].equals(MEASURE)) {
      measure(arguments[1], Long.parseLong(arguments[2]) << 20);
      System.exit(0);
    }
    int rounds = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 3;
    String mib = arguments.length > 1 ? arguments[1] : "256";
    for (int round = 1; round <= rounds; round++) {
      for (String variant : VARIANTS) {
        ProcessBuilder builder =
            new ProcessBuilder(
                System.getProperty("java.home") + "/bin/java",
                "--enable-native-access=ALL-UNNAMED",
                "-Xmx1g",
                "-cp",
                System.getProperty("java.class.path"),
                BlockReadBenchmark.class.getName(),
                MEASURE,
                variant,
                mib);
        if (variant.equals("nixl/tcp")) {
          builder.environment().put("UCX_TLS", "tcp");
        }
        System.out.println("round " + round);
        builder.inheritIO().start().waitFor();
      }
    }
  }

  private static void measure(String variant, long bytes) throws IOException {
    switch (variant) {
      case "nixl", "nixl/tcp" ->
          blocks(
              variant,
              bytes,
              NixlOwner.class,
              NixlTransportTest.open("benchmark", NixlTransportTest.SECRET));
      case "tcp" ->
          blocks(
              variant,
              bytes,
              owner("dev.millrace.transfer.tcp.TcpOwner"),
              TcpTransport.start(
                  TcpTransportOptions.loopback(
                      "benchmark", SharedSecret.of("a secret for tests only".getBytes(UTF_8)))));
      case "socket" -> socket(bytes);
      default -> copy(bytes);
    }
  }

  private static Class<?> owner(String name) {
    try {
      return Class.forName(name);
    } catch (ClassNotFoundException e) {
      throw new IllegalStateException(e);
    }
  }

  private static void blocks(
      String variant, long bytes, Class<?> ownerClass, BlockTransport transport)
      throws IOException {
    try (Arena arena = Arena.ofShared();
        transport;
        RemoteOwner owner = RemoteOwner.launch(ownerClass, bytes, 5)) {
      MemorySegment expected = Pattern.memory(arena, bytes, 5);
      MemorySegment target = Pattern.blank(arena, bytes);
      MemorySegment source = MemorySegment.ofAddress(owner.address()).reinterpret(bytes);
      transport.register(target);
      Peer peer = transport.connect(owner.description(), PATIENCE).join();
      for (int block : BLOCK_BYTES) {
        int count = (int) (bytes / block);
        RunList inOrder = RunList.inOrder(count, block, source, target);
        RunList scattered = RunList.scattered(count, block, source, target, 7);
        report(variant, block, "in order", time(peer, inOrder), bytes);
        check(target, expected);
        report(variant, block, "scattered", time(peer, scattered), bytes);
      }
      RunList one = RunList.inOrder(1, 4096, source, target);
      double[] micros = new double[500];
      for (int i = 0; i < micros.length; i++) {
        micros[i] = seconds(peer, one) * 1e6;
      }
      Arrays.sort(micros);
      System.out.printf(
          "%-9s one 4 KiB block: median %.0f us, p99 %.0f us%n", variant, micros[250], micros[495]);
    }
  }

  private static void check(MemorySegment target, MemorySegment expected) {
    if (target.mismatch(expected) != -1) {
      throw new IllegalStateException("wrong bytes");
    }
  }

  private static List<Double> time(Peer peer, RunList runs) {
    List<Double> seconds = new ArrayList<>();
    for (int i = 0; i <= REPETITIONS; i++) {
      seconds.add(seconds(peer, runs));
    }
    return seconds;
  }

  private static double seconds(Peer peer, RunList runs) {
    long start = System.nanoTime();
    ReadOutcome outcome = peer.read(runs, Optional.empty(), PATIENCE).join();
    if (!(outcome instanceof ReadOutcome.Done)) {
      throw new IllegalStateException(outcome.toString());
    }
    return (System.nanoTime() - start) / 1e9;
  }

  private static void report(
      String variant, int block, String order, List<Double> seconds, long bytes) {
    // The first one connects and compiles.
    double median = seconds.stream().skip(1).sorted().skip(REPETITIONS / 2).findFirst().orElse(0.0);
    System.out.printf(
        "%-9s %5d KiB %-9s %6.2f GB/s%n", variant, block >> 10, order, bytes / median / 1e9);
  }

  private static void socket(long bytes) throws IOException {
    try (Arena arena = Arena.ofShared();
        ServerSocketChannel server =
            ServerSocketChannel.open()
                .bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0))) {
      MemorySegment target = Pattern.blank(arena, bytes);
      int port = ((InetSocketAddress) server.getLocalAddress()).getPort();
      Process sender =
          new ProcessBuilder(
                  System.getProperty("java.home") + "/bin/java",
                  "-cp",
                  System.getProperty("java.class.path"),
                  Sender.class.getName(),
                  Integer.toString(port),
                  Long.toString(bytes))
              .inheritIO()
              .start();
      try (SocketChannel channel = server.accept()) {
        List<Double> seconds = new ArrayList<>();
        for (int i = 0; i <= REPETITIONS; i++) {
          long start = System.nanoTime();
          channel.write(ByteBuffer.wrap(new byte[1]));
          ByteBuffer buffer = target.asByteBuffer();
          while (buffer.hasRemaining()) {
            if (channel.read(buffer) < 0) {
              throw new IOException("the sender left");
            }
          }
          seconds.add((System.nanoTime() - start) / 1e9);
        }
        report("socket", 0, "stream", seconds, bytes);
      } finally {
        sender.destroyForcibly();
      }
    }
  }

  /** Sends all its memory for every byte that it gets. */
  static final class Sender {
    private Sender() {}

    public static void main(String[] arguments) throws IOException {
      try (Arena arena = Arena.ofShared();
          SocketChannel channel =
              SocketChannel.open(
                  new InetSocketAddress(
                      InetAddress.getLoopbackAddress(), Integer.parseInt(arguments[0])))) {
        channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
        MemorySegment memory = Pattern.memory(arena, Long.parseLong(arguments[1]), 5);
        while (channel.read(ByteBuffer.allocate(1)) > 0) {
          ByteBuffer buffer = memory.asByteBuffer();
          while (buffer.hasRemaining()) {
            channel.write(buffer);
          }
        }
      }
    }
  }

  private static void copy(long bytes) {
    try (Arena arena = Arena.ofShared()) {
      MemorySegment source = Pattern.memory(arena, bytes, 5);
      MemorySegment target = Pattern.blank(arena, bytes);
      List<Double> seconds = new ArrayList<>();
      for (int i = 0; i <= REPETITIONS; i++) {
        long start = System.nanoTime();
        target.copyFrom(source);
        seconds.add((System.nanoTime() - start) / 1e9);
      }
      report("memcpy", 0, "", seconds, bytes);
    }
  }
}
