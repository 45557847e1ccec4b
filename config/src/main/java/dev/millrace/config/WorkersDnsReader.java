package dev.millrace.config;

import static dev.millrace.config.Complaints.quote;

import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.regex.Pattern;

/** Reads the question whose answer is a pool's workers. */
final class WorkersDnsReader {
  /** Labels of up to 63 characters between dots; services begin with an underscore. */
  static final Pattern NAME =
      Pattern.compile("(?=.{1,254}$)[A-Za-z0-9_-]{1,63}(\\.[A-Za-z0-9_-]{1,63})*\\.?");

  /** A name server is asked by its address: to ask for its name, one would have to be asked. */
  static final Pattern SERVER =
      Pattern.compile(
          "((25[0-5]|2[0-4]\\d|1?\\d?\\d)(\\.(25[0-5]|2[0-4]\\d|1?\\d?\\d)){3}|\\[[0-9A-Fa-f:.]+\\])"
              + ":\\d{1,5}");

  private WorkersDnsReader() {}

  /** The question; empty, after complaints, if it cannot be asked. */
  static Optional<WorkersDns> read(Section section) {
    Optional<String> name =
        section
            .require("name", "such as prefill.llm.svc.cluster.local")
            .flatMap(WorkersDnsReader::name);
    Optional<Field> ofType = section.find("type");
    Optional<DnsType> type =
        ofType.isPresent() ? ofType.get().choice(DnsType.values()) : Optional.of(DnsType.A);
    Optional<Field> ofPort = section.find("port");
    Optional<Integer> port = ofPort.flatMap(value -> value.integer(1, 65535));
    UrlScheme scheme =
        section
            .find("scheme")
            .flatMap(value -> value.choice(UrlScheme.values()))
            .orElse(UrlScheme.HTTP);
    Duration every =
        section.find("every").flatMap(WorkersDnsReader::every).orElse(WorkersDns.DEFAULT_EVERY);
    Optional<HostPort> server = section.find("server").flatMap(WorkersDnsReader::server);
    Optional<Field> ofSideChannel = section.find("side-channel-port");
    Optional<Integer> sideChannel = ofSideChannel.flatMap(value -> value.integer(1, 65535));
    int dataParallel =
        section.integer("data-parallel-size", 1, WorkerAddress.MOST_DATA_PARALLEL, 1);
    Map<String, String> labels = WorkerEntry.labels(section);
    section.refuseOtherKeys();
    if (sideChannel.isPresent()
        && !WorkerEntry.hasPorts(
            ofSideChannel.orElseThrow(), "" + sideChannel.get(), sideChannel.get(), dataParallel)) {
      return Optional.empty();
    }
    boolean ownPorts = type.filter(known -> known == DnsType.SRV).isPresent();
    if (ownPorts && ofPort.isPresent()) {
      return ofPort.get().refuse("is for type A and AAAA; records of type SRV have their own");
    }
    if (type.isPresent() && !ownPorts && ofPort.isEmpty()) {
      return section.refuse("\"port\" is missing: where the workers answer HTTP, such as 8000");
    }
    return name.isEmpty() || type.isEmpty() || port.isPresent() == ownPorts
        ? Optional.empty()
        : Optional.of(
            new WorkersDns(
                name.get(),
                type.get(),
                optional(port),
                scheme,
                every,
                server,
                optional(sideChannel),
                dataParallel,
                labels));
  }

  private static OptionalInt optional(Optional<Integer> number) {
    return number.map(OptionalInt::of).orElse(OptionalInt.empty());
  }

  private static Optional<String> name(Field field) {
    return field
        .text()
        .flatMap(text ->
            NAME.matcher(text).matches()
                ? Optional.of(text.endsWith(".") ? text.substring(0, text.length() - 1) : text)
                : field.refuse(
                    "%s is not a name that can be asked for, such as prefill.llm.svc.cluster.local"
                        .formatted(quote(text))));
  }

  private static Optional<Duration> every(Field field) {
    return field
        .duration()
        .flatMap(every ->
            every.compareTo(WorkersDns.LEAST_EVERY) >= 0
                ? Optional.of(every)
                : field.refuse(
                    "is %s, must be at least %s; POST /pd/reload asks at once"
                        .formatted(
                            Quantities.text(every), Quantities.text(WorkersDns.LEAST_EVERY))));
  }

  private static Optional<HostPort> server(Field field) {
    Optional<String> text = field.text();
    return text.isEmpty() || SERVER.matcher(text.get()).matches()
        ? text.flatMap(given -> field.hostPort())
        : field.refuse(
            "%s is not the address and port of a name server, such as 10.96.0.10:53"
                .formatted(quote(text.get())));
  }
}
