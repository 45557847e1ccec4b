/**
 * The KV cache as geometry: who holds which heads of which tokens, and which bytes must move to
 * bring a sequence from one engine to another.
 *
 * <p>Everything is one algebra. The elements of a cache are points in a five-dimensional index
 * space, {@linkplain dev.millrace.layout.AxisName LAYER, KV, HEAD, TOKEN, DIM}. A {@link
 * dev.millrace.layout.Region} is a box in that space together with an affine map from indices to
 * bytes; a {@link dev.millrace.layout.Rank} is the regions that one worker process owns; a {@link
 * dev.millrace.layout.Geometry} is all ranks of an engine. Tensor parallelism, block size, HND
 * against NHD, packed or separate K and V, cross-layer blocks, MLA, replicated heads, sliding
 * windows and pipeline slices are values of these types and not cases in the code.
 *
 * <p>{@link dev.millrace.layout.TransferPlanner} intersects the boxes of a source and a destination
 * and yields a {@link dev.millrace.layout.TransferPlan}: runs of bytes that are contiguous on both
 * sides. {@link dev.millrace.layout.CompatibilityHash} recomputes what engines compare before they
 * exchange blocks. Pure functions, no dependency but the JDK.
 */
@NullMarked
package dev.millrace.layout;

import org.jspecify.annotations.NullMarked;
