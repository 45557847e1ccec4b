/** Tests of {@code dev.millrace.router.telemetry}. */
@NullMarked
package dev.millrace.router.telemetry;

import org.jspecify.annotations.NullMarked;
