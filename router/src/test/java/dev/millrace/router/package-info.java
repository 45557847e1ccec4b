/** Tests of the router over real sockets. */
@NullMarked
package dev.millrace.router;

import org.jspecify.annotations.NullMarked;
