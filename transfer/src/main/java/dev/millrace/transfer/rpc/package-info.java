/**
 * The agent's gRPC service {@code millrace.transfer.v1.KvTransfer}, on Vert.x gRPC: the {@linkplain
 * dev.millrace.transfer.rpc.AgentServer server} around a {@link
 * dev.millrace.transfer.agent.KvAgent}, and the {@linkplain dev.millrace.transfer.rpc.AgentClient
 * client} that a router calls it with.
 *
 * <p>The messages, their units and the statuses are described in {@code kv_transfer.proto}, from
 * which {@code rpc.v1} is generated. Methods are bound by hand ({@link
 * dev.millrace.transfer.rpc.Methods}): five lines, and the server sees deadlines and cancellation.
 * Every call but the standard health service needs {@code authorization: Bearer TOKEN}.
 */
@NullMarked
package dev.millrace.transfer.rpc;

import org.jspecify.annotations.NullMarked;
