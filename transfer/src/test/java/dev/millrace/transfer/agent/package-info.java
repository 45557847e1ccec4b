/** Tests of the agent against engines that are a transport, a side channel and memory. */
@NullMarked
package dev.millrace.transfer.agent;

import org.jspecify.annotations.NullMarked;
