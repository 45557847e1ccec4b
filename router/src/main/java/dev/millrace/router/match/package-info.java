/**
 * Which route takes a request.
 *
 * <p>A {@link dev.millrace.router.match.ServedRoute} is a route with what serves it. A {@link
 * dev.millrace.router.match.RouteIndex} has them all in the order in which they are tried: whoever
 * says more of a request comes first. A model that is named exactly is looked up; only what nobody
 * names is compared with patterns, one after the other.
 */
@NullMarked
package dev.millrace.router.match;

import org.jspecify.annotations.NullMarked;
