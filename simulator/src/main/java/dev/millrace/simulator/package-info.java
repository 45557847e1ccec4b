/** To be taught here. */
@NullMarked
package dev.millrace.simulator;

import org.jspecify.annotations.NullMarked;
