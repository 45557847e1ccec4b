package dev.millrace.config;

import java.nio.file.Path;
import java.util.Optional;

/**
 * What the router shows to the workers of a pool, and whom it takes for one of them.
 *
 * @param tokenFile holds the token that it shows instead of what clients show; empty: what these
 *     show passes, unless it is a key of the router's own
 * @param authorities certificates of those who vouch for workers that are reached by https, in PEM;
 *     empty: those that the Java runtime trusts
 * @param own the certificate that it shows to workers that ask for one; empty: none
 */
public record Upstream(Optional<Path> tokenFile, Optional<Path> authorities, Optional<Tls> own) {
  private static final Upstream DEFAULTS =
      new Upstream(Optional.empty(), Optional.empty(), Optional.empty());

  /** Nothing of its own, and the authorities of the Java runtime. */
  public static Upstream defaults() {
    return DEFAULTS;
  }
}
