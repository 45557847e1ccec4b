package dev.millrace.router;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.SocketException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/** A name server on the loopback address, by RFC 1035 as far as its records need it. */
final class FakeNameServer implements AutoCloseable {
  private static final int A = 1;
  private static final int AAAA = 28;
  private static final int SRV = 33;
  private static final int NO_SUCH_NAME = 3;
  private static final int HEADER_BYTES = 12;

  /** By type and name; of a name that is not there it says that there is none. */
  private final Map<String, List<byte[]>> records = new ConcurrentHashMap<>();

  private final DatagramSocket socket;
  private volatile boolean silent;
  private final AtomicInteger asked = new AtomicInteger();

  FakeNameServer() throws IOException {
    socket = new DatagramSocket(0, InetAddress.getLoopbackAddress());
    Thread.ofVirtual().name("name-server").start(this::serve);
  }

  /** As a table names it. */
  String address() {
    return "127.0.0.1:" + socket.getLocalPort();
  }

  /** How often it has been asked. */
  int asked() {
    return asked.get();
  }

  /** Answers nobody, or everybody again. */
  void beSilent(boolean now) {
    silent = now;
  }

  /** Knows nobody of a name any more. */
  void forget(String name) {
    records.keySet().removeIf(key -> key.endsWith(" " + name));
  }

  /** A name's addresses; there may be none. */
  void knows(String name, String... addresses) {
    List<byte[]> all = Arrays.stream(addresses).map(FakeNameServer::bytes).toList();
    records.put(A + " " + name, all.stream().filter(each -> each.length == 4).toList());
    records.put(AAAA + " " + name, all.stream().filter(each -> each.length == 16).toList());
  }

  /** A name's services, each as {@code host:port}. */
  void knowsServices(String name, String... services) {
    records.put(SRV + " " + name, Arrays.stream(services).map(FakeNameServer::service).toList());
  }

  private static byte[] bytes(String address) {
    try {
      return InetAddress.getByName(address).getAddress();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static byte[] service(String hostAndPort) {
    String[] parts = hostAndPort.split(":", 2);
    return written(out -> {
      out.writeShort(0);
      out.writeShort(100);
      out.writeShort(Integer.parseInt(parts[1]));
      for (String label : parts[0].split("\\.", -1)) {
        out.writeByte(label.length());
        out.writeBytes(label);
      }
      out.writeByte(0);
    });
  }

  private void serve() {
    byte[] buffer = new byte[512];
    while (!socket.isClosed()) {
      DatagramPacket packet = new DatagramPacket(buffer, buffer.length);
      try {
        socket.receive(packet);
        asked.incrementAndGet();
        if (!silent) {
          byte[] answer = answer(Arrays.copyOf(buffer, packet.getLength()));
          socket.send(new DatagramPacket(answer, answer.length, packet.getSocketAddress()));
        }
      } catch (SocketException e) {
        return;
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  private byte[] answer(byte[] query) {
    ByteBuffer in = ByteBuffer.wrap(query).position(HEADER_BYTES);
    StringBuilder name = new StringBuilder();
    for (int length = in.get(); length > 0; length = in.get()) {
      byte[] label = new byte[length];
      in.get(label);
      name.append(name.isEmpty() ? "" : ".").append(new String(label, StandardCharsets.US_ASCII));
    }
    int type = in.getShort();
    in.getShort();
    int end = in.position();
    List<byte[]> found = records.get(type + " " + name);
    return written(out -> {
      out.write(query, 0, 2);
      out.writeShort(0x8180 | (found == null ? NO_SUCH_NAME : 0));
      out.writeShort(1);
      out.writeShort(found == null ? 0 : found.size());
      out.writeShort(0);
      out.writeShort(0);
      out.write(query, HEADER_BYTES, end - HEADER_BYTES);
      for (byte[] data : found == null ? List.<byte[]>of() : found) {
        out.writeShort(0xC000 | HEADER_BYTES);
        out.writeShort(type);
        out.writeShort(1);
        out.writeInt(5);
        out.writeShort(data.length);
        out.write(data);
      }
    });
  }

  private interface Written {
    void to(DataOutputStream out) throws IOException;
  }

  private static byte[] written(Written what) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try {
      what.to(new DataOutputStream(bytes));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return bytes.toByteArray();
  }

  @Override
  public void close() {
    socket.close();
  }
}
