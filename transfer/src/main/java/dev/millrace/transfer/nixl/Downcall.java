package dev.millrace.transfer.nixl;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.invoke.MethodHandle;

/**
 * Makes handles of NIXL's functions. None is "critical": those that add to a list may allocate, and
 * all others may wait for the agent's lock, which must not hold up a garbage collection.
 */
final class Downcall {
  private Downcall() {}

  static MethodHandle of(String function, MemoryLayout result, MemoryLayout... parameters) {
    return Linker.nativeLinker()
        .downcallHandle(
            NixlLoader.library().findOrThrow(SymbolSet.PREFIX + function),
            FunctionDescriptor.of(result, parameters));
  }
}
