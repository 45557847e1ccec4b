/**
 * NIXL against its contract, against what is known to crash it, and against its own Python package.
 *
 * <p>These tests need the library ({@code scripts/fetch-nixl.sh}); without it they are skipped, and
 * say so.
 */
@NullMarked
package dev.millrace.transfer.nixl;

import org.jspecify.annotations.NullMarked;
