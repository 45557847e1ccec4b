package dev.millrace.transfer.tcp;

import dev.millrace.transfer.RemoteOwner;
import java.io.IOException;

/** The owner in a process of its own. */
final class TcpOwner {
  private TcpOwner() {}

  public static void main(String[] arguments) throws IOException {
    RemoteOwner.serve(
        TcpTransport.start(TcpTransportOptions.loopback("remote-owner", TcpTransportTest.SECRET)),
        arguments);
  }
}
