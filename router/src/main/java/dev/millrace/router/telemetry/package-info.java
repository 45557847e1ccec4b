/**
 * Where the time of an exchange went.
 *
 * <p>A {@link dev.millrace.router.telemetry.Waterfall} is a row of moments, noted as the phases
 * pass; the parts between them add up to the whole, because each begins where the one before it
 * ends. What cannot be told apart from the outside is one part with an honest name: {@code
 * d-before-first-token} is the decode worker's queue, its block reads and its first step. {@link
 * dev.millrace.router.telemetry.RecentExchanges} keeps the last ones for whoever asks.
 */
@NullMarked
package dev.millrace.router.telemetry;

import org.jspecify.annotations.NullMarked;
