package dev.millrace.transfer.nixl;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** What crashes, hangs or lies in NIXL, over both ways in which UCX moves bytes here. */
@NixlInstalled
class NixlHazardsTest {
  @TestFactory
  List<DynamicTest> sameHost(@TempDir Path folder) throws IOException, InterruptedException {
    return Isolated.run(folder, "", "", NixlHazards.class, SharedMemoryHazards.class);
  }

  @TestFactory
  List<DynamicTest> overTcp(@TempDir Path folder) throws IOException, InterruptedException {
    return Isolated.run(folder, "tcp", "", NixlHazards.class);
  }
}
