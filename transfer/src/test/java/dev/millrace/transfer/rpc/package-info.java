/** Tests of the agent's gRPC service over real connections. */
@NullMarked
package dev.millrace.transfer.rpc;

import org.jspecify.annotations.NullMarked;
