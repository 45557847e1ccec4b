/**
 * Edges: ordered pairs of a prefill and a decode worker, and whether blocks can go from the one to
 * the other.
 *
 * <p>A worker may be well and yet useless to half of its partners: it fits some and not others, and
 * the network to one of them may be broken. So what decides whether two workers get an exchange
 * together is the state of their {@link dev.millrace.router.edges.Edge}:
 *
 * <pre>
 *            verdict                canary or no need of one
 *  Pending ───────────▶ (fits) ───────────────────────────────▶ Usable
 *     ▲  │                                                       │  ▲
 *     │  └─────────────▶ Refused                     3 failures   │  │ canary
 *     │   does not fit      │                                     ▼  │
 *     └─────────────────────┴── a worker is another one now ──── Broken
 * </pre>
 *
 * <p>{@link dev.millrace.router.edges.RouteEdges} are those of one route, as the chooser wants
 * them. Event loops read states and count what happened; the one who changes them, but for the step
 * to Broken, is the watch, which asks workers, judges pairs and tries them out.
 */
@NullMarked
package dev.millrace.router.edges;

import org.jspecify.annotations.NullMarked;
