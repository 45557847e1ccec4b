/**
 * Which prefill and which decode worker take an exchange.
 *
 * <p>The {@link dev.millrace.router.choose.Chooser} of a route picks both before the prefill leg
 * begins and {@linkplain dev.millrace.router.choose.Reservation reserves} their places, so that a
 * prompt is not computed for a decode worker that has no room. Its answer is a {@link
 * dev.millrace.router.choose.Choice}, which may be a refusal with its reason. Each {@link
 * dev.millrace.router.choose.WorkerPolicy} has its formula in its header; what it may look at of
 * the request are its {@link dev.millrace.router.choose.Traits}. Who goes on from a response, or
 * asks for it again, is given the worker that keeps it ({@link
 * dev.millrace.router.choose.Keepers}).
 */
@NullMarked
package dev.millrace.router.choose;

import org.jspecify.annotations.NullMarked;
