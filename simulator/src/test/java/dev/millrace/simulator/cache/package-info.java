/** Tests of single classes. */
@NullMarked
package dev.millrace.simulator.cache;

import org.jspecify.annotations.NullMarked;
