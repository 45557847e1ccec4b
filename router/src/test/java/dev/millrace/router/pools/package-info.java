/** Tests of {@code dev.millrace.router.pools}. */
@NullMarked
package dev.millrace.router.pools;

import org.jspecify.annotations.NullMarked;
