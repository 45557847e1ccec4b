package dev.millrace.transfer.agent;

import dev.millrace.transfer.tcp.TcpTransport;
import dev.millrace.transfer.tcp.TcpTransportOptions;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Accepts connections, and says nothing. */
public final class StalledPeer implements AutoCloseable {
  private static final String ADDRESS = "127.0.0.2";

  private final TcpTransport transport;
  private final ServerSocket socket = new ServerSocket();
  private final List<Socket> accepted = new CopyOnWriteArrayList<>();
  private final CountDownLatch called = new CountDownLatch(1);

  public StalledPeer() throws IOException {
    socket.bind(new InetSocketAddress(InetAddress.getByName(ADDRESS), 0));
    // Another address of the same machine, at the same port: what it describes is the socket.
    transport =
        TcpTransport.start(
            TcpTransportOptions.on("stalled", ADDRESS, socket.getLocalPort(), LocalEngine.SECRET)
                .boundTo("127.0.0.1"));
    Thread.startVirtualThread(this::accept);
  }

  private void accept() {
    try {
      while (true) {
        accepted.add(socket.accept());
        called.countDown();
      }
    } catch (IOException e) {
      // Closed.
    }
  }

  /** What it gives as its description. */
  public byte[] instead() {
    return transport.describe();
  }

  public boolean awaitCaller() throws InterruptedException {
    return called.await(20, TimeUnit.SECONDS);
  }

  @Override
  public void close() throws IOException {
    transport.close();
    socket.close();
    for (Socket each : accepted) {
      each.close();
    }
  }
}
