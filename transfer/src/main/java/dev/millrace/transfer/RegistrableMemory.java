package dev.millrace.transfer;

import java.io.BufferedReader;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * What can be registered with a transport. A peer's read of memory that is not there ends the
 * process that registered it, so this is looked at before anybody can ask for it.
 */
public final class RegistrableMemory {
  private static final Path MAPPINGS = Path.of("/proc/self/maps");

  private RegistrableMemory() {}

  /**
   * Accepts off-heap memory that exists, can be written, and can be used by all threads.
   *
   * @throws IllegalArgumentException otherwise
   */
  public static void check(MemorySegment memory) {
    if (!memory.isNative() || memory.byteSize() == 0) {
      throw new IllegalArgumentException(
          "only off-heap memory of at least one byte can be registered, not " + memory);
    }
    if (!memory.scope().isAlive()) {
      throw new IllegalArgumentException("memory of a closed arena cannot be registered");
    }
    if (!memory.isAccessibleBy(new Thread(() -> {}))) {
      throw new IllegalArgumentException(
          "memory of a confined arena cannot be read by the transport's threads; use a shared one");
    }
    if (memory.isReadOnly()) {
      throw new IllegalArgumentException("reads must be able to write registered memory");
    }
    if (!isMapped(memory.address(), memory.byteSize())) {
      throw new IllegalArgumentException(
          "not all of the %d bytes at %#x are memory of this process"
              .formatted(memory.byteSize(), memory.address()));
    }
  }

  /**
   * Whether the process may read and write every byte. A segment that was made of an address and a
   * length may claim anything.
   */
  private static boolean isMapped(long address, long bytes) {
    if (!Files.isReadable(MAPPINGS)) {
      // Not Linux.
      return true;
    }
    long reached = address;
    long end = address + bytes;
    if (end < address) {
      return false;
    }
    try (BufferedReader lines = Files.newBufferedReader(MAPPINGS, StandardCharsets.ISO_8859_1)) {
      // Sorted by address: proc_pid_maps(5).
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        int dash = line.indexOf('-');
        int space = line.indexOf(' ', dash);
        long from = Long.parseUnsignedLong(line, 0, dash, 16);
        long to = Long.parseUnsignedLong(line, dash + 1, space, 16);
        if (to <= reached) {
          continue;
        }
        if (from > reached || !line.startsWith("rw", space + 1)) {
          return false;
        }
        reached = to;
        if (reached >= end) {
          return true;
        }
      }
      return false;
    } catch (IOException e) {
      return true;
    }
  }
}
