/** Tests of the kernels: against a naive copy, and against the clock. */
@NullMarked
package dev.millrace.transfer.permute;

import org.jspecify.annotations.NullMarked;
