/** Tests of the simulated engine over real sockets. */
@NullMarked
package dev.millrace.simulator;

import org.jspecify.annotations.NullMarked;
