/** Tests of which route takes a request. */
@NullMarked
package dev.millrace.router.match;

import org.jspecify.annotations.NullMarked;
