/**
 * The blocks that a prefill worker holds for a decode worker, and what becomes of them.
 *
 * <p>A {@link dev.millrace.router.handoff.HandOff} begins with a prefill worker's answer and holds
 * GPU memory until it ends. The {@link dev.millrace.router.handoff.Ledger} counts them, and each
 * ends in exactly one {@link dev.millrace.router.handoff.Outcome}. The {@linkplain
 * dev.millrace.router.handoff.Parameters parameters} that name the blocks are opaque: they are cut
 * out of one answer and put into one request, byte for byte, after a look at the keys without which
 * an engine would hang or die.
 */
@NullMarked
package dev.millrace.router.handoff;

import org.jspecify.annotations.NullMarked;
