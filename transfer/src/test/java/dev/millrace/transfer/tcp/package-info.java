/** The contract of transports over TCP, and what only TCP can get wrong. */
@NullMarked
package dev.millrace.transfer.tcp;

import org.jspecify.annotations.NullMarked;
