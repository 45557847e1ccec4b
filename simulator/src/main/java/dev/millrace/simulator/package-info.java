/**
 * An engine that speaks vLLM's protocol, keeps real KV bytes and needs no GPU.
 *
 * <p>It is an oracle. The KV bytes of a token are a function of the whole prefix, layer, head and
 * lane ({@code model}); they lie in memory laid out as the engine's geometry says ({@code cache});
 * and the next token is a function of <em>every</em> KV byte of the sequence, read back through the
 * engine's own block table. So the answer of a prefill and a decode engine together equals the
 * answer of one engine exactly if every byte arrived in its place, whatever the tensor parallelism,
 * block size and layout on either side.
 *
 * <pre>
 *  http        requests, answers, streams and errors in vLLM's shapes
 *  core        the scheduler: waits for blocks, computes or loads the prompt, decodes
 *  cache       block pool with prefix caching, memory per tensor-parallel rank
 *  connector   leases on blocks for others, handshakes, reads, heartbeats
 *  model       tokens, words, and the function from prefix to bytes
 * </pre>
 *
 * {@link dev.millrace.simulator.SimulatedEngine} puts them together. All state of an engine belongs
 * to one event loop; filling, reading back and planning run on worker threads.
 */
@NullMarked
package dev.millrace.simulator;

import org.jspecify.annotations.NullMarked;
