/** Tests of single classes. */
@NullMarked
package dev.millrace.simulator.http;

import org.jspecify.annotations.NullMarked;
