package dev.millrace.config;

import java.net.URI;
import java.nio.file.Path;
import java.util.Optional;

/**
 * A KV agent that the router may call.
 *
 * @param url where it answers: scheme, host and optional port, nothing after them
 * @param tokenFile holds what it asks callers for
 */
public record AgentAddress(URI url, Path tokenFile) {
  public AgentAddress {
    Optional<String> fault = WorkerAddress.faultOf(url);
    if (fault.isPresent()) {
      throw new IllegalArgumentException("agent url: \"%s\" %s".formatted(url, fault.get()));
    }
    url = WorkerAddress.canonical(url);
  }

  /** The port of {@link #url}, the scheme's own where it names none. */
  public int port() {
    return WorkerAddress.portOf(url);
  }
}
