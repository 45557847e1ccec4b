package dev.millrace.router.probe;

import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Which version of the NIXL connector a release of vLLM has ({@code NIXL_CONNECTOR_VERSION}, read
 * in the released packages). A release that is not listed has to be declared: its handshake may
 * have another form, and a listener that is asked in a wrong one ends for good.
 */
final class VllmReleases {
  private static final Pattern RELEASE = Pattern.compile("(\\d+\\.\\d+)(?:\\.\\d+)?(?:\\+.*)?");
  private static final Map<String, Integer> CONNECTOR_VERSIONS =
      Map.of(
          "0.19", 2, "0.21", 3, "0.23", 4, "0.24", 4, "0.27", 5, "0.28", 7, "0.29", 9, "0.30", 11,
          "0.31", 13, "0.32", 14);

  private VllmReleases() {}

  /** The connector version of a release; empty for others, and for what lies between releases. */
  static Optional<Integer> connectorVersion(String vllmVersion) {
    Matcher matcher = RELEASE.matcher(vllmVersion);
    return matcher.matches()
        ? Optional.ofNullable(CONNECTOR_VERSIONS.get(matcher.group(1)))
        : Optional.empty();
  }
}
