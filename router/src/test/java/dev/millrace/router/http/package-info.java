/** Tests of {@code dev.millrace.router.http}. */
@NullMarked
package dev.millrace.router.http;

import org.jspecify.annotations.NullMarked;
