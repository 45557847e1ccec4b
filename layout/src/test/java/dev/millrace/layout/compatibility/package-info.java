/**
 * Verdicts are tested from pairs of {@link dev.millrace.layout.compatibility.TestEngines}: two
 * engines that fit, with one thing changed.
 */
@NullMarked
package dev.millrace.layout.compatibility;

import org.jspecify.annotations.NullMarked;
