/** Tests of {@code dev.millrace.router.access}. */
@NullMarked
package dev.millrace.router.access;

import org.jspecify.annotations.NullMarked;
