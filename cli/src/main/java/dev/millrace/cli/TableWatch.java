package dev.millrace.cli;

import dev.millrace.config.RoutingTable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.Arrays;
import java.util.Optional;

/**
 * Notices that a routing table or its file of keys has changed, by what they say: mounted files are
 * exchanged by links whose times tell nothing. A file is looked at twice before it counts as
 * changed, so that one that is being written is not read half.
 */
final class TableWatch {
  private static final Duration LOOK = Duration.ofSeconds(1);

  private final Path file;
  private final Optional<Path> keys;
  private byte[] known;
  private byte[] last;

  /** One for a table as it was read. */
  TableWatch(Path file, RoutingTable table) {
    this.file = file;
    this.keys = table.listen().keysFile();
    this.known = digest();
    this.last = known;
  }

  /** Calls back, on a thread of its own, each time that something has changed. */
  void begin(Runnable changed) {
    Thread.ofVirtual()
        .name("table-watch")
        .start(() -> {
          while (true) {
            try {
              Thread.sleep(LOOK);
            } catch (InterruptedException e) {
              return;
            }
            if (look()) {
              changed.run();
            }
          }
        });
  }

  /** Whether something has changed since the last time that this was true, and stayed so. */
  boolean look() {
    byte[] now = digest();
    boolean settled = Arrays.equals(now, last);
    last = now;
    if (!settled || Arrays.equals(now, known)) {
      return false;
    }
    known = now;
    return true;
  }

  private byte[] digest() {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      digest.update(content(file));
      digest.update((byte) 0);
      keys.ifPresent(path -> digest.update(content(path)));
      return digest.digest();
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }

  /** One that cannot be read is one that says nothing; the router says why when it reads it. */
  private static byte[] content(Path file) {
    try {
      return Files.readAllBytes(file);
    } catch (IOException e) {
      return new byte[0];
    }
  }
}
