/** Tests of {@code dev.millrace.router.choose}. */
@NullMarked
package dev.millrace.router.choose;

import org.jspecify.annotations.NullMarked;
