package dev.millrace.transfer.nixl;

/** What NIXL itself measured of one request. */
record RequestTelemetry(long postMicros, long transferMicros, long bytes, long descriptors) {
  /**
   * {@code nixl_capi_xfer_telemetry_s}: five 64-bit numbers, of which the first is a start time.
   */
  static final long BYTES = 40;

  static final RequestTelemetry NONE = new RequestTelemetry(0, 0, 0, 0);
}
