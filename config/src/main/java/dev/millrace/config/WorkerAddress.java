package dev.millrace.config;

import java.net.URI;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * One engine of a pool.
 *
 * @param url where it answers HTTP: scheme, host and optional port, nothing after them
 * @param sideChannel where its connector answers handshakes; empty when nobody needs to ask
 * @param dataParallel engines behind the address, of which a request picks one by {@code
 *     X-data-parallel-rank}; each has a side channel of its own, on the ports from {@link
 *     #sideChannel} on (vLLM, {@code --data-parallel-size})
 * @param declared what the operator says of this one; the rest is as in its pool
 * @param labels where it is, or whatever else the operator tells workers apart by
 * @param source who says that it belongs to its pool
 */
public record WorkerAddress(
    URI url,
    Optional<HostPort> sideChannel,
    int dataParallel,
    Declared declared,
    Map<String, String> labels,
    WorkerSource source) {
  /** Most engines behind one address. */
  public static final int MOST_DATA_PARALLEL = 1024;

  static final String NO_URL = "is not an http(s) URL such as http://10.0.0.4:8000";

  public WorkerAddress {
    if (dataParallel < 1 || dataParallel > MOST_DATA_PARALLEL) {
      throw new IllegalArgumentException(
          "dataParallel=%d (1 to %d)".formatted(dataParallel, MOST_DATA_PARALLEL));
    }
    Optional<String> fault = faultOf(url);
    if (fault.isPresent()) {
      throw new IllegalArgumentException("worker url: \"%s\" %s".formatted(url, fault.get()));
    }
    url = canonical(url);
    labels = Map.copyOf(labels);
  }

  /** One that a routing table lists. */
  public WorkerAddress(
      URI url,
      Optional<HostPort> sideChannel,
      int dataParallel,
      Declared declared,
      Map<String, String> labels) {
    this(url, sideChannel, dataParallel, declared, labels, WorkerSource.STATIC);
  }

  /** A worker whose side channel nobody needs to know. */
  public static WorkerAddress of(URI url) {
    return new WorkerAddress(url, Optional.empty(), 1, Declared.nothing(), Map.of());
  }

  /** A worker with a side channel. */
  public static WorkerAddress of(URI url, HostPort sideChannel) {
    return new WorkerAddress(url, Optional.of(sideChannel), 1, Declared.nothing(), Map.of());
  }

  /** One engine with what the operator says of it. */
  public static WorkerAddress of(URI url, Optional<HostPort> sideChannel, Declared declared) {
    return new WorkerAddress(url, sideChannel, 1, declared, Map.of());
  }

  /** The same with labels. */
  public WorkerAddress withLabels(Map<String, String> newLabels) {
    return new WorkerAddress(url, sideChannel, dataParallel, declared, newLabels, source);
  }

  /** Whether another one says the same of the same worker, whoever says it. */
  public boolean isSameAs(WorkerAddress other) {
    return equals(
        new WorkerAddress(
            other.url,
            other.sideChannel,
            other.dataParallel,
            other.declared,
            other.labels,
            source));
  }

  /** The side channel of one of its data-parallel ranks. */
  public Optional<HostPort> sideChannel(int rank) {
    return sideChannel.map(first -> new HostPort(first.host(), first.port() + rank));
  }

  /** The port of {@link #url}, the scheme's own where it names none. */
  public int port() {
    return portOf(url);
  }

  static int portOf(URI url) {
    return url.getPort() >= 0 ? url.getPort() : "https".equals(url.getScheme()) ? 443 : 80;
  }

  /** Why an address is not one of a worker, worded to follow it; empty if it is. */
  static Optional<String> faultOf(URI url) {
    String scheme = url.getScheme() == null ? "" : url.getScheme().toLowerCase(Locale.ROOT);
    if (!scheme.equals("http") && !scheme.equals("https")) {
      return Optional.of(NO_URL);
    }
    if (url.getHost() == null) {
      return Optional.of("names no usable host: letters, digits, - and . only");
    }
    if (url.getPort() == 0 || url.getPort() > 65535) {
      return Optional.of("has port %d, must be 1 to 65535".formatted(url.getPort()));
    }
    if (url.getRawUserInfo() != null) {
      return Optional.of("carries credentials, which do not belong into a URL; leave them out");
    }
    String path = url.getRawPath();
    if ((path != null && !path.isEmpty() && !path.equals("/"))
        || url.getRawQuery() != null
        || url.getRawFragment() != null) {
      return Optional.of("has something after the port; give scheme, host and port only");
    }
    return Optional.empty();
  }

  static URI canonical(URI url) {
    String port = url.getPort() < 0 ? "" : ":" + url.getPort();
    return URI.create(
        url.getScheme().toLowerCase(Locale.ROOT)
            + "://"
            + url.getHost().toLowerCase(Locale.ROOT)
            + port);
  }
}
