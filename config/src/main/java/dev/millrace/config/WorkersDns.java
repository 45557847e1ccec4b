package dev.millrace.config;

import java.net.URI;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * A question for a name server. Each address of its answer is a worker of the pool that has it.
 *
 * @param name as it stands in the zone, whole; no search domain is tried
 * @param type of the records
 * @param port at which the workers answer HTTP; empty with {@link DnsType#SRV}, whose records say
 * @param scheme of the workers' URLs
 * @param every how often it is asked, at least {@link #LEAST_EVERY}
 * @param server who is asked, by address; empty: the first of the system's name servers
 * @param sideChannelPort where the workers' connectors answer handshakes, on the same address
 * @param dataParallel as in {@link WorkerAddress}
 * @param labels of all of them
 */
public record WorkersDns(
    String name,
    DnsType type,
    OptionalInt port,
    UrlScheme scheme,
    Duration every,
    Optional<HostPort> server,
    OptionalInt sideChannelPort,
    int dataParallel,
    Map<String, String> labels) {
  static final Duration DEFAULT_EVERY = Duration.ofSeconds(10);

  /** Name servers answer many; whoever wants to know sooner reloads. */
  static final Duration LEAST_EVERY = Duration.ofSeconds(1);

  public WorkersDns {
    labels = Map.copyOf(labels);
    if (port.isPresent() == (type == DnsType.SRV)) {
      throw new IllegalArgumentException(
          "workers-dns: records of type %s %s"
              .formatted(type, type == DnsType.SRV ? "have ports of their own" : "need a port"));
    }
    if (every.compareTo(LEAST_EVERY) < 0) {
      throw new IllegalArgumentException(
          "workers-dns: every is %s, must be at least %s".formatted(every, LEAST_EVERY));
    }
  }

  /** The worker at an address of the answer. */
  public WorkerAddress worker(HostPort at) {
    return new WorkerAddress(
        URI.create(scheme.keyword() + "://" + at),
        sideChannelPort.isPresent()
            ? Optional.of(new HostPort(at.host(), sideChannelPort.getAsInt()))
            : Optional.empty(),
        dataParallel,
        Declared.nothing(),
        labels,
        WorkerSource.DNS);
  }

  /** What is asked: {@code SRV _http._tcp.prefill.llm.svc.cluster.local}. */
  @Override
  public String toString() {
    return type + " " + name;
  }
}
