package dev.millrace.router;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;

/**
 * An engine that does with a connection exactly what a test says: these bytes, now a pause, now a
 * reset. It reads requests by itself and keeps them.
 */
final class ScriptedEngine implements AutoCloseable {
  /** A request as it came, byte by byte. */
  record Request(String head, Map<String, String> headers, Bytes body, int ofConnection) {
    String path() {
      return head.split(" ", 3)[1];
    }

    String text() {
      return body.toString();
    }
  }

  /** Bytes with value semantics. */
  record Bytes(List<Byte> list) {
    static Bytes of(byte[] bytes) {
      Byte[] boxed = new Byte[bytes.length];
      for (int i = 0; i < bytes.length; i++) {
        boxed[i] = bytes[i];
      }
      return new Bytes(List.of(boxed));
    }

    byte[] array() {
      byte[] bytes = new byte[list.size()];
      for (int i = 0; i < bytes.length; i++) {
        bytes[i] = list.get(i);
      }
      return bytes;
    }

    @Override
    public String toString() {
      return new String(array(), StandardCharsets.UTF_8);
    }
  }

  /** What the engine does about one request. */
  @FunctionalInterface
  interface Script {
    void play(Request request, Wire wire) throws IOException, InterruptedException;
  }

  /** The engine's end of a connection. */
  static final class Wire {
    private final Socket socket;
    private final OutputStream out;

    Wire(Socket socket) throws IOException {
      this.socket = socket;
      this.out = socket.getOutputStream();
    }

    Wire send(String text) throws IOException {
      return send(text.getBytes(StandardCharsets.UTF_8));
    }

    Wire send(byte[] bytes) throws IOException {
      out.write(bytes);
      out.flush();
      return this;
    }

    void answer(int status, String body) throws IOException {
      byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
      send(
          String.join(
              "\r\n",
              "HTTP/1.1 " + status + " Whatever",
              "content-type: application/json",
              "server: uvicorn",
              "content-length: " + bytes.length,
              "",
              ""));
      send(bytes);
    }

    Wire streamHead() throws IOException {
      return send(STREAM_HEAD);
    }

    Wire chunk(String text) throws IOException {
      byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
      ByteArrayOutputStream all = new ByteArrayOutputStream();
      all.writeBytes((Integer.toHexString(bytes.length) + "\r\n").getBytes(StandardCharsets.UTF_8));
      all.writeBytes(bytes);
      all.writeBytes("\r\n".getBytes(StandardCharsets.UTF_8));
      return send(all.toByteArray());
    }

    void endChunks() throws IOException {
      send("0\r\n\r\n");
    }

    void reset() throws IOException {
      socket.setSoLinger(true, 0);
      socket.close();
    }

    void close() throws IOException {
      socket.close();
    }

    /** Waits until the router has closed its end. */
    void awaitGone() throws IOException {
      InputStream in = socket.getInputStream();
      try {
        while (in.read() >= 0) {}
      } catch (IOException e) {
        // A reset is as gone as an orderly end.
      }
    }
  }

  private static final String STREAM_HEAD =
      String.join(
          "\r\n",
          "HTTP/1.1 200 OK",
          "content-type: text/event-stream; charset=utf-8",
          "transfer-encoding: chunked",
          "",
          "");

  private final ServerSocket server;
  private final Set<Socket> open = ConcurrentHashMap.newKeySet();
  private final List<Request> requests = new CopyOnWriteArrayList<>();
  private final List<Throwable> failures = new CopyOnWriteArrayList<>();
  private final AtomicInteger connections = new AtomicInteger();
  private final AtomicInteger looks = new AtomicInteger();
  private volatile Supplier<String> metrics = () -> "";
  private volatile Script script;
  private volatile boolean closed;

  private ScriptedEngine(Script script) throws IOException {
    this.script = script;
    this.server = new ServerSocket(0, 512, InetAddress.getLoopbackAddress());
    Thread.ofVirtual().start(this::accept);
  }

  static ScriptedEngine playing(Script script) {
    try {
      return new ScriptedEngine(script);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  void play(Script other) {
    script = other;
  }

  URI url() {
    return URI.create("http://127.0.0.1:" + server.getLocalPort());
  }

  /** Requests for tokens so far; looks at metrics are not among them. */
  List<Request> requests() {
    return requests;
  }

  /** How often somebody has looked at its metrics. */
  int looks() {
    return looks.get();
  }

  /** Shows metrics. */
  void showing(Supplier<String> text) {
    metrics = text;
  }

  int connections() {
    return connections.get();
  }

  int openConnections() {
    return open.size();
  }

  private void accept() {
    while (!closed) {
      try {
        Socket socket = server.accept();
        socket.setTcpNoDelay(true);
        connections.incrementAndGet();
        open.add(socket);
        if (closed) {
          // Whoever closes the engine may have looked at those that were open before.
          socket.close();
        }
        Thread.ofVirtual().start(() -> serve(socket));
      } catch (IOException e) {
        return;
      }
    }
  }

  private void serve(Socket socket) {
    try (socket) {
      Wire wire = new Wire(socket);
      InputStream in = socket.getInputStream();
      int ofConnection = 0;
      for (Request request = read(in, ++ofConnection);
          request != null;
          request = read(in, ++ofConnection)) {
        if (request.path().equals("/metrics")) {
          looks.incrementAndGet();
          wire.answer(200, metrics.get());
        } else {
          requests.add(request);
          script.play(request, wire);
        }
      }
    } catch (IOException e) {
      // The other side went away, or the script closed the socket.
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (RuntimeException | AssertionError e) {
      failures.add(e);
    } finally {
      open.remove(socket);
    }
  }

  private static @org.jspecify.annotations.Nullable Request read(InputStream in, int ofConnection)
      throws IOException {
    ByteArrayOutputStream head = new ByteArrayOutputStream();
    while (!endsWithBlankLine(head.toByteArray())) {
      int b = in.read();
      if (b < 0) {
        return null;
      }
      head.write(b);
    }
    String text = head.toString(StandardCharsets.ISO_8859_1);
    Map<String, String> headers = new TreeMap<>();
    for (String line : text.lines().toList()) {
      int colon = line.indexOf(':');
      if (colon > 0 && !line.startsWith("POST") && !line.startsWith("GET")) {
        headers.merge(
            line.substring(0, colon).toLowerCase(Locale.ROOT),
            line.substring(colon + 1).trim(),
            (a, b) -> a + "," + b);
      }
    }
    int length = Integer.parseInt(headers.getOrDefault("content-length", "0"));
    return new Request(text, headers, Bytes.of(in.readNBytes(length)), ofConnection);
  }

  private static boolean endsWithBlankLine(byte[] head) {
    int n = head.length;
    return n >= 4
        && head[n - 4] == '\r'
        && head[n - 3] == '\n'
        && head[n - 2] == '\r'
        && head[n - 1] == '\n';
  }

  List<Throwable> failures() {
    return failures;
  }

  @Override
  public void close() {
    closed = true;
    try {
      server.close();
      for (Socket socket : open) {
        socket.close();
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
