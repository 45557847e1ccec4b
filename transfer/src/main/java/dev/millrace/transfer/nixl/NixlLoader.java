package dev.millrace.transfer.nixl;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Opens the library once, and remembers it. */
final class NixlLoader {
  private static final String FETCH = "scripts/fetch-nixl.sh";

  /** Variables that make NIXL listen for, or publish, metadata outside the handshake. */
  private static final List<String> SIDE_DOORS =
      List.of(
          "NIXL_ETCD_ENDPOINTS",
          "NIXL_ETCD_NAMESPACE",
          "NIXL_TCPSTORE_ENDPOINT",
          // Binds symbols so that UCX crashes (github.com/ai-dynamo/nixl/issues/1668).
          "NIXL_UCX_DEEPBIND");

  private static Nixl.@Nullable Present present;
  private static volatile @Nullable SymbolLookup lookup;

  private NixlLoader() {}

  static synchronized Nixl load(NixlSettings settings) {
    Nixl.Present open = present;
    if (open != null) {
      return open.settings().equals(settings)
          ? open
          : new Nixl.Absent(
              "NIXL is already open in this process, with other settings (%s)"
                  .formatted(open.settings()),
              "use the same settings for all transports of a process, or start another process");
    }
    Path home = NixlInstall.home(settings);
    Optional<NixlInstall> found = NixlInstall.find(home);
    if (found.isEmpty()) {
      return new Nixl.Absent(
          Files.isDirectory(home)
              ? "there is no libnixl_capi.so in " + home
              : "NIXL is not installed: the folder %s does not exist".formatted(home),
          "run %s, or point MILLRACE_NIXL_HOME at a NIXL install".formatted(FETCH));
    }
    return open(found.get(), settings);
  }

  private static Nixl open(NixlInstall install, NixlSettings settings) {
    try {
      // A method that a JVM without native access refuses; it looks at nothing.
      MemorySegment.NULL.reinterpret(0);
    } catch (IllegalCallerException e) {
      return new Nixl.Absent(
          "this JVM may not call native code", "start it with --enable-native-access=ALL-UNNAMED");
    }
    SIDE_DOORS.forEach(LibC::unsetenv);
    settings.forced(install).forEach(LibC::setenv);
    settings
        .defaults()
        .forEach((name, value) -> {
          if (System.getenv(name) == null) {
            LibC.setenv(name, value);
          }
        });
    SymbolLookup library;
    try {
      // Never closed: NIXL's plugins and UCX cannot be unloaded.
      library = SymbolLookup.libraryLookup(install.library(), Arena.global());
    } catch (IllegalArgumentException e) {
      return new Nixl.Absent(
          "%s cannot be opened: %s".formatted(install.library(), why(install.library(), e)),
          "remove %s and run %s again".formatted(install.home(), FETCH));
    }
    SymbolSet symbols = SymbolSet.of(library);
    if (!symbols.isComplete()) {
      return new Nixl.Absent(
          "%s lacks functions of NIXL's C API: %s".formatted(install.library(), symbols.missing()),
          "install NIXL %s: %s".formatted(NixlInstall.PINNED_VERSION, FETCH));
    }
    lookup = library;
    if (AgentFunctions.isStub()) {
      return new Nixl.Absent(
          install.library() + " is the stub that aborts the process when it is used",
          "point MILLRACE_NIXL_HOME at a real NIXL install, or run " + FETCH);
    }
    Nixl.Present open = new Nixl.Present(install, symbols, settings);
    present = open;
    return open;
  }

  /** The dynamic linker's own words, which the lookup does not pass on. */
  private static String why(Path library, IllegalArgumentException cause) {
    try {
      System.load(library.toString());
      return String.valueOf(cause.getMessage());
    } catch (UnsatisfiedLinkError e) {
      return String.valueOf(e.getMessage());
    }
  }

  /** The open library. Only classes that are reached through {@link Nixl.Present} ask. */
  static SymbolLookup library() {
    SymbolLookup library = lookup;
    if (library == null) {
      throw new IllegalStateException("NIXL has not been loaded");
    }
    return library;
  }
}
