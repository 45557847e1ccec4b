/**
 * Moving blocks between processes.
 *
 * <p>A {@link dev.millrace.transfer.BlockTransport} registers memory that peers may read, publishes
 * a description of itself, connects to peers by their description, reads {@linkplain
 * dev.millrace.layout.Runs runs} of a peer's memory into its own, and carries notifications.
 * One-sided, as RDMA is: the owner of the memory takes no part in a read. The TCP transport ({@code
 * transfer.tcp}) is the embedded default; any implementation passes the same contract tests.
 *
 * <p>{@code transfer.sidechannel} speaks the handshake by which vLLM's workers learn of each
 * other's memory.
 */
@NullMarked
package dev.millrace.transfer;

import org.jspecify.annotations.NullMarked;
