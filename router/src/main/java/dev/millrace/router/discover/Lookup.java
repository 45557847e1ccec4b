package dev.millrace.router.discover;

import dev.millrace.config.HostPort;
import dev.millrace.config.WorkersDns;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.dns.DnsClient;
import io.vertx.core.dns.DnsClientOptions;
import io.vertx.core.dns.DnsException;
import io.vertx.core.dns.DnsResponseCode;
import io.vertx.core.dns.SrvRecord;
import java.time.Duration;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Asks a name server one question. */
final class Lookup {
  private static final Duration ANSWER_WITHIN = Duration.ofSeconds(3);

  /** Datagrams get lost; one that is, is sent once more within the time of the whole. */
  private static final Duration PATIENCE = Duration.ofSeconds(1);

  private static final Comparator<HostPort> ORDER =
      Comparator.comparing(HostPort::host).thenComparingInt(HostPort::port);

  private final WorkersDns question;
  private final DnsClient client;

  Lookup(Vertx vertx, WorkersDns question) {
    this.question = question;
    DnsClientOptions options = new DnsClientOptions().setQueryTimeout(PATIENCE.toMillis());
    question.server().ifPresent(server -> options.setHost(server.host()).setPort(server.port()));
    this.client = vertx.createDnsClient(options);
  }

  /**
   * Where the workers are, each once and always in the same order: name servers turn theirs. Fails
   * if there is no such name, or if nobody answers.
   */
  Future<List<HostPort>> ask() {
    return addresses()
        .timeout(ANSWER_WITHIN.toMillis(), TimeUnit.MILLISECONDS)
        .map(found -> found.stream().distinct().sorted(ORDER).toList());
  }

  private Future<List<HostPort>> addresses() {
    return switch (question.type()) {
      case A -> client.resolveA(question.name()).map(this::atItsPort);
      case AAAA -> client.resolveAAAA(question.name()).map(this::atItsPort);
      case SRV -> client.resolveSRV(question.name()).compose(this::ofHosts);
    };
  }

  private List<HostPort> atItsPort(List<String> addresses) {
    int port = question.port().orElseThrow();
    return addresses.stream().map(address -> new HostPort(address, port)).toList();
  }

  private Future<List<HostPort>> ofHosts(List<SrvRecord> records) {
    return Future.all(records.stream().map(this::ofHost).toList())
        .map(all -> all.<List<HostPort>>list().stream().flatMap(Collection::stream).toList());
  }

  /** A host that has gone a moment before its record is no worker; one nobody tells of may be. */
  private Future<List<HostPort>> ofHost(SrvRecord record) {
    String host = record.target();
    return host == null || record.port() == 0
        ? Future.succeededFuture(List.of())
        : client
            .resolveA(host)
            .map(found ->
                found.stream().map(address -> new HostPort(address, record.port())).toList())
            .recover(failure ->
                failure instanceof DnsException known && known.code() == DnsResponseCode.NXDOMAIN
                    ? Future.succeededFuture(List.of())
                    : Future.failedFuture(failure));
  }

  void end() {
    client.close();
  }
}
