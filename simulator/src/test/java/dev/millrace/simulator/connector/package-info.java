/** Tests of single classes. */
@NullMarked
package dev.millrace.simulator.connector;

import org.jspecify.annotations.NullMarked;
