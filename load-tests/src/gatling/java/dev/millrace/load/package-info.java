/**
 * Load from the outside, as clients make it: an open loop.
 *
 * <p>Requests arrive at a rate, whether or not the ones before have been answered. A closed loop,
 * where each connection waits for its answer, slows down together with what it measures and so
 * hides the queues that users would see; only an open loop can say anything about a 99th
 * percentile.
 */
@NullMarked
package dev.millrace.load;

import org.jspecify.annotations.NullMarked;
