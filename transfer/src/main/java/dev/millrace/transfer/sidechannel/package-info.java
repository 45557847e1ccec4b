/**
 * vLLM's side channel: how its workers learn of each other's memory.
 *
 * <p>Before a decode worker reads from a prefill engine for the first time it asks the engine's
 * side channel, a ZeroMQ ROUTER socket, for the metadata of each rank that it will read from. The
 * answer is msgpack in msgpack: a {@link dev.millrace.transfer.sidechannel.Handshake} with the
 * compatibility hash and, opaque until the hash is found equal, the rank's {@link
 * dev.millrace.transfer.sidechannel.AgentMetadata}: addresses, sizes and layout of its KV cache and
 * what the transport needs to connect.
 *
 * <pre>
 * D  -> P   [ "" , msgpack ("get_meta_msg", pipeline rank, tensor rank) ]
 * P  -> D   [ "" , msgpack {compatibility_hash, agent_metadata_bytes} , msgpack float64 clock ]
 * </pre>
 *
 * <p>Facts: vLLM v0.32.0, {@code kv_connector/v1/nixl/metadata.py} and {@code base_scheduler.py},
 * and recordings of a running engine. A listener of that version ends for good when it is asked for
 * a rank that it does not have, so ask only for ranks that exist.
 */
@NullMarked
package dev.millrace.transfer.sidechannel;

import org.jspecify.annotations.NullMarked;
