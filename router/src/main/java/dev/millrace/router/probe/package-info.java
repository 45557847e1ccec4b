/**
 * What engines say of themselves when they are asked.
 *
 * <p>A {@link dev.millrace.router.probe.Prober} asks an engine over HTTP for its version, its
 * models and its cache configuration, lets it compute a prompt of one token whose {@code
 * kv_transfer_params} tell its engine id, its side channel and its parallelism, and then asks the
 * side channel for the handshake of rank (0, 0), the one rank that every engine has. What it learns
 * is a {@link dev.millrace.router.probe.Sighting}: facts, each with where it came from. Nothing
 * here judges them.
 *
 * <p>Two things are never done. A side channel is not asked in a form that its version may not
 * understand, nor for a rank that may not exist: vLLM's listener ends for good then. And none is
 * contacted that the operator has not listed, be it by the host of the worker's URL.
 */
@NullMarked
package dev.millrace.router.probe;

import org.jspecify.annotations.NullMarked;
