package dev.millrace.transfer.nixl;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;

/** The three functions of the C library that NIXL's door needs. */
final class LibC {
  private static final Linker LINKER = Linker.nativeLinker();
  private static final SymbolLookup LOOKUP = LINKER.defaultLookup();
  private static final MethodHandle FREE =
      LINKER.downcallHandle(LOOKUP.findOrThrow("free"), FunctionDescriptor.ofVoid(ADDRESS));
  private static final MethodHandle SETENV =
      LINKER.downcallHandle(
          LOOKUP.findOrThrow("setenv"),
          FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, JAVA_INT));
  private static final MethodHandle UNSETENV =
      LINKER.downcallHandle(
          LOOKUP.findOrThrow("unsetenv"), FunctionDescriptor.of(JAVA_INT, ADDRESS));

  private LibC() {}

  /** Frees what NIXL allocated with malloc for us. */
  static void free(MemorySegment pointer) {
    try {
      FREE.invokeExact(pointer);
    } catch (Throwable t) {
      throw unexpected(t);
    }
  }

  /**
   * Sets a variable of the process, which libraries that are loaded afterwards see; {@link
   * System#getenv} does not.
   */
  static void setenv(String name, String value) {
    try (Arena arena = Arena.ofConfined()) {
      int status = (int) SETENV.invokeExact(arena.allocateFrom(name), arena.allocateFrom(value), 1);
      if (status != 0) {
        throw new IllegalArgumentException("setenv refused \"" + name + "\"");
      }
    } catch (Throwable t) {
      throw unexpected(t);
    }
  }

  static void unsetenv(String name) {
    try (Arena arena = Arena.ofConfined()) {
      int status = (int) UNSETENV.invokeExact(arena.allocateFrom(name));
      if (status != 0) {
        throw new IllegalArgumentException("unsetenv refused \"" + name + "\"");
      }
    } catch (Throwable t) {
      throw unexpected(t);
    }
  }

  /** A downcall throws only what Java code around it throws; the signature says Throwable. */
  static RuntimeException unexpected(Throwable thrown) {
    if (thrown instanceof Error error) {
      throw error;
    }
    if (thrown instanceof RuntimeException exception) {
      return exception;
    }
    throw new AssertionError("a downcall threw a checked exception", thrown);
  }
}
