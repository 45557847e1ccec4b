/** Tests of single classes. */
@NullMarked
package dev.millrace.simulator.model;

import org.jspecify.annotations.NullMarked;
