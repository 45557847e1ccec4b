package dev.millrace.transfer.nixl;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A NIXL library on disk.
 *
 * @param home the folder that was searched
 * @param library {@code libnixl_capi.so}, by its real path: what it needs lies relative to it
 * @param version NIXL's version, {@code unknown} if the install does not tell
 */
record NixlInstall(Path home, Path library, String version) {
  /** The release that {@code scripts/fetch-nixl.sh} gets, and that the tests ran with. */
  static final String PINNED_VERSION = "1.5.1";

  static final String UNKNOWN_VERSION = "unknown";

  private static final String[] FOLDERS = {
    "lib", "", ".nixl_cu12.mesonpy.libs", ".nixl_cu13.mesonpy.libs"
  };
  private static final String[] NAMES = {"libnixl_capi.so", "libnixl_capi.so.0"};
  private static final Pattern PACKAGE_INFO = Pattern.compile("nixl_cu\\d+-(.+)\\.dist-info");

  /** Folder of the plugins that belong to the library. */
  Path plugins() {
    Path folder = library.getParent();
    return (folder == null ? home : folder).resolve("plugins");
  }

  /**
   * Where an install is looked for: the setting, {@code MILLRACE_NIXL_HOME}, then the cache folder
   * of {@code scripts/fetch-nixl.sh}.
   */
  static Path home(NixlSettings settings) {
    if (settings.home().isPresent()) {
      return settings.home().get();
    }
    String named = System.getenv("MILLRACE_NIXL_HOME");
    if (named != null && !named.isEmpty()) {
      return Path.of(named);
    }
    String cache = System.getenv("XDG_CACHE_HOME");
    Path base =
        cache == null || cache.isEmpty()
            ? Path.of(System.getProperty("user.home"), ".cache")
            : Path.of(cache);
    return base.resolve("millrace").resolve("nixl").resolve(PINNED_VERSION);
  }

  static Optional<NixlInstall> find(Path home) {
    for (String folder : FOLDERS) {
      Optional<Path> library = libraryIn(home.resolve(folder));
      if (library.isPresent()) {
        return Optional.of(new NixlInstall(home, library.get(), version(home, library.get())));
      }
    }
    // NIXL's own build installs into lib/<architecture>-linux-gnu.
    try (DirectoryStream<Path> folders =
        Files.newDirectoryStream(home.resolve("lib"), "*-linux-gnu")) {
      for (Path folder : folders) {
        Optional<Path> library = libraryIn(folder);
        if (library.isPresent()) {
          return Optional.of(new NixlInstall(home, library.get(), version(home, library.get())));
        }
      }
    } catch (IOException e) {
      return Optional.empty();
    }
    return Optional.empty();
  }

  private static Optional<Path> libraryIn(Path folder) {
    for (String name : NAMES) {
      Path library = folder.resolve(name);
      if (Files.isRegularFile(library)) {
        try {
          return Optional.of(library.toRealPath());
        } catch (IOException e) {
          return Optional.empty();
        }
      }
    }
    return Optional.empty();
  }

  /** The C API does not tell its version: the install does, or the operator. */
  private static String version(Path home, Path library) {
    String declared = System.getenv("MILLRACE_NIXL_VERSION");
    if (declared != null && !declared.isEmpty()) {
      return declared;
    }
    try {
      Path file = home.resolve("VERSION");
      if (Files.isRegularFile(file)) {
        return Files.readString(file).strip();
      }
    } catch (IOException e) {
      return UNKNOWN_VERSION;
    }
    @Nullable Path folder = library.getParent();
    @Nullable Path packages = folder == null ? null : folder.getParent();
    if (packages == null) {
      return UNKNOWN_VERSION;
    }
    try (DirectoryStream<Path> infos = Files.newDirectoryStream(packages, "nixl_cu*.dist-info")) {
      for (Path info : infos) {
        Matcher name = PACKAGE_INFO.matcher(info.getFileName().toString());
        if (name.matches()) {
          return name.group(1);
        }
      }
    } catch (IOException e) {
      return UNKNOWN_VERSION;
    }
    return UNKNOWN_VERSION;
  }
}
