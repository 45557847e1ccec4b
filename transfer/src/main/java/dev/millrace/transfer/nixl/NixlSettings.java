package dev.millrace.transfer.nixl;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * What NIXL and UCX are told before they are loaded. They read their environment once per process,
 * so the first load decides for all transports of a process.
 *
 * @param home the NIXL install; empty for the cache folder that {@code scripts/fetch-nixl.sh} fills
 * @param netDevices network devices that UCX may use, such as {@code eth0} or {@code mlx5_0:1};
 *     empty for UCX's choice, which listens on every interface
 * @param ports the TCP ports UCX may listen on, such as {@code 19100-19199}; empty for any
 * @param transports UCX transports, such as {@code tcp} or {@code rc,tcp}; empty for UCX's choice.
 *     They must include {@code tcp} or an RDMA transport, shared memory alone is refused by NIXL
 * @param logLevel NIXL's and UCX's log level; both log to stderr
 * @param ucx further variables of UCX, by their full names ({@code UCX_...})
 */
public record NixlSettings(
    Optional<Path> home,
    Optional<String> netDevices,
    Optional<String> ports,
    Optional<String> transports,
    LogLevel logLevel,
    Map<String, String> ucx) {

  /** How much NIXL and UCX say. */
  public enum LogLevel {
    ERROR("ERROR", "error"),
    WARN("WARN", "warn"),
    INFO("INFO", "info"),
    DEBUG("DEBUG", "debug");

    private final String nixl;
    private final String ucx;

    LogLevel(String nixl, String ucx) {
      this.nixl = nixl;
      this.ucx = ucx;
    }
  }

  /** What the library is found by and set up with when nobody says otherwise. */
  public static final NixlSettings DEFAULT =
      new NixlSettings(
          Optional.empty(),
          Optional.empty(),
          Optional.empty(),
          Optional.empty(),
          LogLevel.ERROR,
          Map.of());

  public NixlSettings {
    ucx = Map.copyOf(ucx);
    for (String name : ucx.keySet()) {
      if (!name.startsWith("UCX_")) {
        throw new IllegalArgumentException("\"" + name + "\" is not a variable of UCX (UCX_...)");
      }
    }
  }

  /** The same with these UCX transports. */
  public NixlSettings withTransports(String list) {
    return new NixlSettings(home, netDevices, ports, Optional.of(list), logLevel, ucx);
  }

  /** The same with this log level. */
  public NixlSettings withLogLevel(LogLevel level) {
    return new NixlSettings(home, netDevices, ports, transports, level, ucx);
  }

  /** The same with the install in {@code folder}. */
  public NixlSettings withHome(Path folder) {
    return new NixlSettings(Optional.of(folder), netDevices, ports, transports, logLevel, ucx);
  }

  /** The variables that must have these values whatever the environment of the process says. */
  Map<String, String> forced(NixlInstall install) {
    Map<String, String> variables = new TreeMap<>(ucx);
    // UCX takes SIGHUP for its debugger, and with it the way to stop a JVM.
    variables.put("UCX_DEBUG_SIGNO", "0");
    // A handler for SIGSEGV breaks the JVM's implicit null checks: it aborts at the first one.
    variables.put("UCX_HANDLE_ERRORS", "none");
    variables.put("UCX_ERROR_SIGNALS", "");
    variables.put("UCX_WARN_UNUSED_ENV_VARS", "n");
    // stdout may carry a protocol, or the output of a command.
    variables.put("UCX_LOG_FILE", "stderr");
    if (Files.isDirectory(install.plugins())) {
      variables.put("NIXL_PLUGIN_DIR", install.plugins().toString());
    }
    netDevices.ifPresent(list -> variables.put("UCX_NET_DEVICES", list));
    ports.ifPresent(range -> variables.put("UCX_TCP_PORT_RANGE", range));
    transports.ifPresent(list -> variables.put("UCX_TLS", list));
    return variables;
  }

  /** The variables that are set unless the environment of the process has them. */
  Map<String, String> defaults() {
    return Map.of("NIXL_LOG_LEVEL", logLevel.nixl, "UCX_LOG_LEVEL", logLevel.ucx);
  }
}
