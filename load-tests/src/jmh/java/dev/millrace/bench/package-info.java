/**
 * Benchmarks: what planning and the parts of an exchange cost, how fast blocks are read and
 * re-laid, and what a relay costs beside it. How to run them is in {@code load-tests/README.md};
 * the budgets that they are held against stand there, too.
 */
@NullMarked
package dev.millrace.bench;

import org.jspecify.annotations.NullMarked;
