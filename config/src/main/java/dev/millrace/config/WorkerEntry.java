package dev.millrace.config;

import static dev.millrace.config.Complaints.quote;

import java.net.URI;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * A worker as it is written down: with the same keys in a routing table, in a file of workers and
 * in a request that adds one.
 *
 * @param worker what is said of it
 * @param url where its address stands
 * @param sideChannel where its side channel stands, if it has one
 */
record WorkerEntry(WorkerAddress worker, Field url, Optional<Field> sideChannel) {

  /** Reads an entry; empty, after complaints, if its address or its side channels are none. */
  static Optional<WorkerEntry> read(Section entry, WorkerSource source) {
    Optional<Field> url = entry.require("url", "such as http://10.0.0.4:8000");
    Optional<Field> sideChannel = entry.find("side-channel");
    int dataParallel = entry.integer("data-parallel-size", 1, WorkerAddress.MOST_DATA_PARALLEL, 1);
    Declared declared = DeclaredReader.read(entry);
    Map<String, String> labels = labels(entry);
    entry.refuseOtherKeys();
    Optional<URI> address = url.flatMap(Field::workerUrl);
    Optional<HostPort> channel = sideChannel.flatMap(Field::hostPort);
    if (address.isEmpty()
        || (channel.isPresent()
            && !hasPorts(
                sideChannel.orElseThrow(),
                channel.get().toString(),
                channel.get().port(),
                dataParallel))) {
      return Optional.empty();
    }
    return Optional.of(
        new WorkerEntry(
            new WorkerAddress(address.get(), channel, dataParallel, declared, labels, source),
            url.get(),
            channel.flatMap(read -> sideChannel)));
  }

  /** Whether there are side channels for all data-parallel ranks from a port on. */
  static boolean hasPorts(Field sideChannel, String shown, int first, int dataParallel) {
    if (first + dataParallel - 1 <= 65535) {
      return true;
    }
    sideChannel.complain(
        "%s: its port and the %d after it, for the other data-parallel ranks, go beyond 65535;"
                .formatted(quote(shown), dataParallel - 1)
            + " choose a lower one");
    return false;
  }

  /** The labels of a worker, or of several. */
  static Map<String, String> labels(Section of) {
    Map<String, String> labels = new LinkedHashMap<>();
    of.find("labels")
        .flatMap(Field::section)
        .ifPresent(given ->
            given
                .entries()
                .forEach((name, field) -> {
                  PoolsReader.requireName(given, name, field, "a label");
                  field.text().ifPresent(value -> labels.put(name, value));
                }));
    return labels;
  }
}
