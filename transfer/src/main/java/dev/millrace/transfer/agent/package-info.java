/**
 * The KV agent: does with a prefill engine's blocks what a decode engine does, for a router.
 *
 * <p>A {@link dev.millrace.transfer.agent.KvAgent} shakes hands with prefill engines whose side
 * channels its operator has listed, reads the blocks of a hand-off into memory of its own, asks for
 * longer leases and releases. What it reads becomes a {@linkplain
 * dev.millrace.transfer.agent.HeldCopy copy}: blocks in a <em>slab</em>, a piece of memory that is
 * laid out for one target geometry and registered with the transport once, for as many copies as
 * fit. Slabs share a budget; when it is used up a read is refused, never queued.
 *
 * <pre>
 * Engines    who has been met: geometry and connections, per engine
 * Memory     slabs within the budget; blocks that are free, held, or in quarantine
 * Reading    one read: meet → set memory aside → read part by part → zero the tail → keep
 * Copies     what is held, until when
 * </pre>
 *
 * <p>An abandoned read cannot be recalled: its blocks are in quarantine until the transport no
 * longer writes them. Every call runs on a virtual thread of its own and waits with a deadline.
 */
@NullMarked
package dev.millrace.transfer.agent;

import org.jspecify.annotations.NullMarked;
