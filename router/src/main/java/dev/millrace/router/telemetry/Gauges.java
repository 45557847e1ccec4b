package dev.millrace.router.telemetry;

import java.util.concurrent.atomic.AtomicInteger;

/** What is open now, over all event loops. */
public final class Gauges {
  /** Exchanges between their first byte and their settling. */
  public final AtomicInteger exchanges = new AtomicInteger();

  /** Connections of clients to the public port. */
  public final AtomicInteger connections = new AtomicInteger();

  /** Places held on workers. */
  public final AtomicInteger reservations = new AtomicInteger();

  /** All at zero. */
  public Gauges() {}
}
