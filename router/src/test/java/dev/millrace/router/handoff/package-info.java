/** Tests of {@code dev.millrace.router.handoff}. */
@NullMarked
package dev.millrace.router.handoff;

import org.jspecify.annotations.NullMarked;
