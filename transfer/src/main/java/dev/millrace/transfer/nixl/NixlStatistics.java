package dev.millrace.transfer.nixl;

/**
 * What a {@link NixlTransport} has done since it was opened. Requests, descriptors, bytes and times
 * are NIXL's own telemetry, not counted beside it.
 *
 * @param requests requests that succeeded
 * @param descriptors descriptors of these, after merging
 * @param bytes bytes of these
 * @param postMicros time NIXL spent posting them
 * @param transferMicros time from post to completion, added up
 * @param failedRequests requests that failed
 * @param quarantinedRequests requests that nobody waits for and NIXL has not ended, now
 * @param quarantinedBytes bytes that these may still write, now
 * @param requestsInFlight requests that NIXL has, quarantined ones included, now
 * @param registrations pieces of memory that are registered, now
 * @param readers transports that have said that they read this one's memory, now
 * @param refusedNotifications notifications that were dropped: unsigned, wrongly signed, or
 *     repeated
 */
public record NixlStatistics(
    long requests,
    long descriptors,
    long bytes,
    long postMicros,
    long transferMicros,
    long failedRequests,
    long quarantinedRequests,
    long quarantinedBytes,
    long requestsInFlight,
    long registrations,
    long readers,
    long refusedNotifications) {}
