package dev.millrace.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.Collection;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * Notices that a routing table, or a file that it names, has changed, by what they say: mounted
 * files are exchanged by links whose times tell nothing. A file is looked at twice before it counts
 * as changed, so that one that is being written is not read half.
 */
final class TableWatch {
  private static final Duration LOOK = Duration.ofSeconds(1);

  private final Path table;
  private final Map<Path, Followed> followed = new LinkedHashMap<>();
  private final CountDownLatch ended = new CountDownLatch(1);

  private static final class Followed {
    String known;
    String last;

    Followed(String now) {
      this.known = now;
      this.last = now;
    }
  }

  /** One for a table as it is now. */
  TableWatch(Path table) {
    this.table = table;
    followed.put(table, new Followed(digest(table)));
  }

  /**
   * Follows the table and these files, and no others. Before they are read, so that what changes
   * afterwards is noticed.
   */
  synchronized void follow(Collection<Path> files) {
    followed.keySet().removeIf(file -> !file.equals(table) && !files.contains(file));
    files.forEach(file -> followed.computeIfAbsent(file, named -> new Followed(digest(named))));
  }

  /**
   * Calls back with the files, on a thread of its own, each time that some have changed; until its
   * {@link #end}.
   */
  void begin(Consumer<List<Path>> changed) {
    Thread.ofVirtual().name("table-watch").start(() -> watch(changed));
  }

  private void watch(Consumer<List<Path>> changed) {
    try {
      while (!ended.await(LOOK.toMillis(), TimeUnit.MILLISECONDS)) {
        List<Path> files = look();
        if (!files.isEmpty()) {
          changed.accept(files);
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Looks no more. */
  void end() {
    ended.countDown();
  }

  /** What has changed since it was last returned; nothing while a file is still changing. */
  synchronized List<Path> look() {
    boolean settled = true;
    for (Map.Entry<Path, Followed> entry : followed.entrySet()) {
      Followed file = entry.getValue();
      String now = digest(entry.getKey());
      settled &= now.equals(file.last);
      file.last = now;
    }
    if (!settled) {
      return List.of();
    }
    List<Path> changed =
        followed.entrySet().stream()
            .filter(entry -> !entry.getValue().last.equals(entry.getValue().known))
            .map(Map.Entry::getKey)
            .toList();
    followed.values().forEach(file -> file.known = file.last);
    return changed;
  }

  /** One that cannot be read is one that says nothing; the router says why when it reads it. */
  private static String digest(Path file) {
    try {
      byte[] content = Files.readAllBytes(file);
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
    } catch (IOException e) {
      return "";
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }
}
