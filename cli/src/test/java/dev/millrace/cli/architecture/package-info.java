/**
 * The arrows between modules and the bans inside them, as tests. {@code banned} holds a class that
 * breaks each ban of the router, so that a rule that finds nothing is known to look.
 */
@NullMarked
package dev.millrace.cli.architecture;

import org.jspecify.annotations.NullMarked;
