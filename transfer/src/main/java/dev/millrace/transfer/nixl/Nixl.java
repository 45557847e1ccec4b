package dev.millrace.transfer.nixl;

import java.nio.file.Path;

/**
 * The door to NIXL: the only place where its library is opened, once per process.
 *
 * <p>Before that, the environment is set through libc, because UCX and NIXL read it in their
 * constructors: signals stay with the JVM, logs stay off stdout, no metadata server is contacted
 * behind our back. A library that lacks functions, or is the stub that aborts the process, is not
 * let in. Whoever gets {@link Absent} has a working JVM and a command that helps.
 */
public sealed interface Nixl {

  /** The library is open, for the life of the process. */
  final class Present implements Nixl {
    private final NixlInstall install;
    private final SymbolSet symbols;
    private final NixlSettings settings;

    Present(NixlInstall install, SymbolSet symbols, NixlSettings settings) {
      this.install = install;
      this.symbols = symbols;
      this.settings = settings;
    }

    /** The library's real path. */
    public Path library() {
      return install.library();
    }

    /** NIXL's version, {@code unknown} if the install does not tell. */
    public String version() {
      return install.version();
    }

    NixlInstall install() {
      return install;
    }

    SymbolSet symbols() {
      return symbols;
    }

    NixlSettings settings() {
      return settings;
    }
  }

  /**
   * There is no usable library.
   *
   * @param reason what was looked for, and what is wrong with it
   * @param remedy a command, or what else to do
   */
  record Absent(String reason, String remedy) implements Nixl {}

  /** Opens the library. The first call of a process decides the settings. */
  static Nixl load(NixlSettings settings) {
    return NixlLoader.load(settings);
  }
}
