/** Tests of {@code dev.millrace.router.admit}. */
@NullMarked
package dev.millrace.router.admit;

import org.jspecify.annotations.NullMarked;
