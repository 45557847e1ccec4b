/**
 * Plans are proved against {@link dev.millrace.layout.NaiveEngine}: an engine that finds each
 * element by a formula per layout and knows nothing of regions, axes and runs.
 */
@NullMarked
package dev.millrace.layout;

import org.jspecify.annotations.NullMarked;
