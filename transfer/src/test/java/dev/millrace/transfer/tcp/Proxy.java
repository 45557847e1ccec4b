package dev.millrace.transfer.tcp;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/** Stands between a reader and an owner and does something to what the owner sends. */
final class Proxy implements AutoCloseable {
  /** Called with each piece that passes. */
  @FunctionalInterface
  interface Meddling {
    /**
     * Changes the piece, or throws to reset both connections.
     *
     * @param passed how many bytes of this connection have passed before
     */
    void with(byte[] piece, int length, long passed) throws IOException;
  }

  private final ServerSocket listener;
  private final Description target;
  private final Meddling meddling;
  private final List<Socket> sockets = new CopyOnWriteArrayList<>();

  Proxy(byte[] description, Meddling meddling) throws IOException {
    this.target = Description.decode(description);
    this.meddling = meddling;
    this.listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    Thread.startVirtualThread(this::accept);
  }

  /** The owner's description, but for where it is. */
  byte[] description() {
    return new Description(target.instance(), target.name(), "127.0.0.1", listener.getLocalPort())
        .encode();
  }

  private void accept() {
    try {
      while (true) {
        Socket reader = listener.accept();
        Socket owner = new Socket(InetAddress.getLoopbackAddress(), target.port());
        sockets.add(reader);
        sockets.add(owner);
        Thread.startVirtualThread(() -> copy(reader, owner, (piece, length, passed) -> {}));
        Thread.startVirtualThread(() -> copy(owner, reader, meddling));
      }
    } catch (IOException e) {
      // Closed.
    }
  }

  private static void copy(Socket from, Socket to, Meddling meddling) {
    byte[] piece = new byte[16384];
    long passed = 0;
    try (from;
        to) {
      try {
        InputStream in = from.getInputStream();
        OutputStream out = to.getOutputStream();
        for (int n = in.read(piece); n > 0; n = in.read(piece)) {
          meddling.with(piece, n, passed);
          out.write(piece, 0, n);
          passed += n;
        }
      } catch (IOException e) {
        // No farewell: the other ends see a reset.
        from.setSoLinger(true, 0);
        to.setSoLinger(true, 0);
      }
    } catch (IOException e) {
      // Closed already.
    }
  }

  @Override
  public void close() {
    try {
      listener.close();
      for (Socket socket : sockets) {
        socket.close();
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
