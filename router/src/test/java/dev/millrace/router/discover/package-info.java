/** Tests of {@code dev.millrace.router.discover}. */
@NullMarked
package dev.millrace.router.discover;

import org.jspecify.annotations.NullMarked;
