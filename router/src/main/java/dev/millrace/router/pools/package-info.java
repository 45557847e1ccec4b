/**
 * Workers: what the router knows of the engines, and what outlives a request.
 *
 * <p>A {@link dev.millrace.router.pools.Worker} is one engine of a pool with what is open on it,
 * and {@link dev.millrace.router.pools.Workers} are all of them. They are the only state that event
 * loops share, and it consists of counters. {@link dev.millrace.router.pools.TransferEvidence} is
 * what a decode worker itself reports about the blocks that it has read.
 */
@NullMarked
package dev.millrace.router.pools;

import org.jspecify.annotations.NullMarked;
