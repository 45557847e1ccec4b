/**
 * How many exchanges a route takes on at a time, and who is next.
 *
 * <p>A {@link dev.millrace.router.admit.Gate} has so many places. Whoever finds none stands in its
 * queue, ahead of those of lower priority and behind those that came before; the queue is bounded
 * in length and in time, so that a route that is full says so at once instead of slowly.
 */
@NullMarked
package dev.millrace.router.admit;

import org.jspecify.annotations.NullMarked;
