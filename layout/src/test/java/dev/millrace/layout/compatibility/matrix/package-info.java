/** The matrix is compared with vLLM's page, and with verdicts on pairs that stand for its cells. */
@NullMarked
package dev.millrace.layout.compatibility.matrix;

import org.jspecify.annotations.NullMarked;
