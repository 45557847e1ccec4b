package dev.millrace.transfer.nixl;

import dev.millrace.transfer.RemoteOwner;
import java.io.IOException;

/** The owner in a process of its own. */
final class NixlOwner {
  private NixlOwner() {}

  public static void main(String[] arguments) throws IOException {
    RemoteOwner.serve(NixlTransportTest.open("remote-owner", NixlTransportTest.SECRET), arguments);
  }
}
