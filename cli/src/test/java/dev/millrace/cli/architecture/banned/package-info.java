/** What must not be done in the router, done. */
@NullMarked
package dev.millrace.cli.architecture.banned;

import org.jspecify.annotations.NullMarked;
