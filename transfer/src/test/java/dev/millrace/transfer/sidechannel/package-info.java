/** The side channel against recordings of vLLM v0.32.0, against itself, and against garbage. */
@NullMarked
package dev.millrace.transfer.sidechannel;

import org.jspecify.annotations.NullMarked;
