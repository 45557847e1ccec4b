/**
 * The KV cache of one engine: a pool of block ids with prefix caching, the memory that each
 * tensor-parallel rank keeps in the engine's layout, and sequences, which tie the two together.
 */
@NullMarked
package dev.millrace.simulator.cache;

import org.jspecify.annotations.NullMarked;
