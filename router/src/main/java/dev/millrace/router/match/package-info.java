/**
 * Which route takes a request, and which of its branches.
 *
 * <p>A {@link dev.millrace.router.match.ServedRoute} is a route with what serves it. A {@link
 * dev.millrace.router.match.RouteIndex} has them all in the order in which they are tried: whoever
 * says more of a request comes first. A model that is named exactly is looked up; only what nobody
 * names is compared with patterns, one after the other. A split route has several {@link
 * dev.millrace.router.match.ServedBranch}es, of which {@link dev.millrace.router.match.Shares}
 * draws the same one for the same session.
 */
@NullMarked
package dev.millrace.router.match;

import org.jspecify.annotations.NullMarked;
