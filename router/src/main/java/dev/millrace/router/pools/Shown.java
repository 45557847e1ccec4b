package dev.millrace.router.pools;

import io.vertx.core.net.ClientSSLOptions;
import java.util.Optional;

/**
 * What a router shows to the workers of a pool.
 *
 * @param authorization value of the header, instead of what clients show; empty: what these show
 *     passes
 * @param tls for workers that are reached by https; empty: the Java runtime's authorities, and no
 *     certificate of the router
 */
public record Shown(Optional<String> authorization, Optional<ClientSSLOptions> tls) {
  /** Nothing. */
  public static final Shown NOTHING = new Shown(Optional.empty(), Optional.empty());

  @Override
  public String toString() {
    return "Shown[%s, %s]"
        .formatted(
            authorization.isPresent() ? "a token" : "no token", tls.isPresent() ? "TLS" : "");
  }
}
