package dev.millrace.transfer.nixl;

import java.util.concurrent.atomic.LongAdder;

/** Counts what {@link NixlStatistics} shows. */
final class Counters {
  private final LongAdder requests = new LongAdder();
  private final LongAdder descriptors = new LongAdder();
  private final LongAdder bytes = new LongAdder();
  private final LongAdder postMicros = new LongAdder();
  private final LongAdder transferMicros = new LongAdder();
  private final LongAdder failed = new LongAdder();
  private final LongAdder quarantined = new LongAdder();
  private final LongAdder quarantinedBytes = new LongAdder();
  private final LongAdder refused = new LongAdder();

  void succeeded(RequestTelemetry telemetry) {
    requests.increment();
    descriptors.add(telemetry.descriptors());
    bytes.add(telemetry.bytes());
    postMicros.add(telemetry.postMicros());
    transferMicros.add(telemetry.transferMicros());
  }

  void failed() {
    failed.increment();
  }

  void quarantineBegins(long requestBytes) {
    quarantined.increment();
    quarantinedBytes.add(requestBytes);
  }

  void quarantineEnds(long requestBytes) {
    quarantined.decrement();
    quarantinedBytes.add(-requestBytes);
  }

  void refused() {
    refused.increment();
  }

  NixlStatistics snapshot(long inFlight, long registrations, long readers) {
    return new NixlStatistics(
        requests.sum(),
        descriptors.sum(),
        bytes.sum(),
        postMicros.sum(),
        transferMicros.sum(),
        failed.sum(),
        quarantined.sum(),
        quarantinedBytes.sum(),
        inFlight,
        registrations,
        readers,
        refused.sum());
  }
}
