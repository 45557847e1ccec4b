/**
 * What crosses the wire, as bytes.
 *
 * <p>A body is never built as a tree and never written anew. {@link
 * dev.millrace.router.http.RootObject} walks the members of the object at a body's root and knows
 * where each begins and ends; {@link dev.millrace.router.http.Splice} puts a new body together from
 * the old one's bytes with a few ranges replaced. So key order, unknown keys, spacing, the spelling
 * of numbers and escapes reach an engine as the client wrote them, and a body of a megabyte costs
 * one pass and no garbage.
 *
 * <p>{@link dev.millrace.router.http.ClientRequest} is what the router understood of a request,
 * {@link dev.millrace.router.http.StreamHead} the part of an answer's stream that is held back
 * until it says something, {@link dev.millrace.router.http.WholeEvents} what keeps the client from
 * halves of events after that, {@link dev.millrace.router.http.Problem} an error that the router
 * itself reports, and {@link dev.millrace.router.http.HeaderRules} which headers pass.
 */
@NullMarked
package dev.millrace.router.http;

import org.jspecify.annotations.NullMarked;
