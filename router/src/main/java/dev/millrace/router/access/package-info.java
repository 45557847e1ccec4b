/**
 * Who asks, and what it may ask for.
 *
 * <p>A client shows a key, of which {@link dev.millrace.router.access.Keys} knows the hash alone,
 * and is a {@link dev.millrace.router.access.Caller} from then on. Where the routing table names no
 * file of keys everybody is the same caller, who may do everything.
 */
@NullMarked
package dev.millrace.router.access;

import org.jspecify.annotations.NullMarked;
