package dev.millrace.simulator.core;

import java.time.Duration;

/**
 * What a native library itself says that it has moved for an engine: counted by it, not beside it.
 *
 * @param library its name and version
 * @param requests requests that succeeded
 * @param descriptors runs of these, as the library has merged them
 * @param bytes bytes of these
 * @param took time from post to completion, added up
 */
public record NativeTransfers(
    String library, long requests, long descriptors, long bytes, Duration took) {

  /** Those of two ranks together. */
  public NativeTransfers plus(NativeTransfers other) {
    return new NativeTransfers(
        library,
        requests + other.requests,
        descriptors + other.descriptors,
        bytes + other.bytes,
        took.plus(other.took));
  }
}
