package dev.millrace.bench;

import dev.millrace.transfer.BlockTransport;
import dev.millrace.transfer.Peer;
import dev.millrace.transfer.ReadOutcome;
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
import java.util.Arrays;
import java.util.Optional;

/**
 * The process that reads, once for each way to read. Prints a line per cell: block bytes, order,
 * bytes per second; the median of some repetitions after the first one.
 */
final class Reader {
  static final int[] BLOCK_BYTES = {512, 4 << 10, 64 << 10, 1 << 20};

  private static final int REPETITIONS = 7;
  private static final Duration PATIENCE = Duration.ofMinutes(2);

  private Reader() {}

  /** What is measured. */
  private interface Action {
    void run() throws IOException;
  }

  public static void main(String[] arguments) throws IOException {
    long bytes = Long.parseLong(arguments[1]);
    switch (arguments[0]) {
      case "nixl", "tcp" -> blocks(arguments[0], bytes);
      case "socket" -> socket(bytes);
      case "memcpy" -> copy(bytes);
      default -> throw new IllegalArgumentException(arguments[0]);
    }
    System.exit(0);
  }

  /** How many bytes of blocks of this size are read: small ones are slow everywhere. */
  static long bytes(long most, int block) {
    return block < 4096 ? most / 4 : most;
  }

  private static void blocks(String kind, long most) throws IOException {
    try (Arena arena = Arena.ofShared();
        BlockTransport transport = Transports.open(kind, "reader");
        Owner owner = Owner.launch(kind, most)) {
      MemorySegment target = Memory.blank(arena, most);
      var _ = transport.register(target);
      Peer peer = transport.connect(owner.description(), PATIENCE).join();
      for (int block : BLOCK_BYTES) {
        long bytes = bytes(most, block);
        int count = (int) (bytes / block);
        Blocks inOrder = Blocks.inOrder(owner.address(), target.address(), block, count);
        Blocks scattered = Blocks.scattered(owner.address(), target.address(), block, count);
        report(block, "in order", bytes, () -> read(peer, inOrder));
        Memory.check(target, inOrder);
        report(block, "scattered", bytes, () -> read(peer, scattered));
        Memory.check(target, scattered);
      }
    }
  }

  private static void read(Peer peer, Blocks blocks) {
    ReadOutcome outcome = peer.read(blocks, Optional.empty(), PATIENCE).join();
    if (outcome instanceof ReadOutcome.Failed failed) {
      throw new IllegalStateException(failed.reason());
    }
  }

  private static void report(int block, String order, long bytes, Action action)
      throws IOException {
    action.run();
    double[] seconds = new double[REPETITIONS];
    for (int i = 0; i < seconds.length; i++) {
      long start = System.nanoTime();
      action.run();
      seconds[i] = (System.nanoTime() - start) / 1e9;
    }
    Arrays.sort(seconds);
    System.out.printf("%d;%s;%.0f%n", block, order, bytes / seconds[seconds.length / 2]);
    System.out.flush();
  }

  /** One stream of all bytes, with no request but the first: what a socket can do here. */
  private static void socket(long bytes) throws IOException {
    try (Arena arena = Arena.ofShared();
        ServerSocketChannel server =
            ServerSocketChannel.open()
                .bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0))) {
      MemorySegment target = Memory.blank(arena, bytes);
      int port = ((InetSocketAddress) server.getLocalAddress()).getPort();
      Process sender =
          Jvm.of(Sender.class, Integer.toString(port), Long.toString(bytes)).inheritIO().start();
      try (SocketChannel channel = server.accept()) {
        report(0, "stream", bytes, () -> receive(channel, target));
        Memory.check(target, Blocks.inOrder(0, 0, 4096, (int) (bytes / 4096)));
      } finally {
        sender.destroyForcibly();
      }
    }
  }

  private static void receive(SocketChannel channel, MemorySegment target) throws IOException {
    channel.write(ByteBuffer.wrap(new byte[1]));
    ByteBuffer buffer = target.asByteBuffer();
    while (buffer.hasRemaining()) {
      if (channel.read(buffer) < 0) {
        throw new IOException("the sender left");
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
        MemorySegment memory = Memory.filled(arena, Long.parseLong(arguments[1]));
        while (channel.read(ByteBuffer.allocate(1)) > 0) {
          ByteBuffer buffer = memory.asByteBuffer();
          while (buffer.hasRemaining()) {
            channel.write(buffer);
          }
        }
      }
    }
  }

  private static void copy(long bytes) throws IOException {
    try (Arena arena = Arena.ofShared()) {
      MemorySegment source = Memory.filled(arena, bytes);
      MemorySegment target = Memory.blank(arena, bytes);
      report(0, "copy", bytes, () -> target.copyFrom(source));
    }
  }
}
