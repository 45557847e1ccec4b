package dev.millrace.transfer.nixl;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** The contract, and what only this network can do to it, over UCX's TCP. */
@NixlInstalled
class NixlOverTcpTest {
  @TestFactory
  List<DynamicTest> contractAndFaults(@TempDir Path folder)
      throws IOException, InterruptedException {
    // NIXL cannot cancel a read of a frozen owner; TcpFaults has what happens instead.
    return Isolated.run(folder, "tcp", "ownerFrozen_", NixlTransportTest.class, TcpFaults.class);
  }
}
