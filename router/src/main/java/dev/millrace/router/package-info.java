/**
 * The HTTP endpoint: one request's life as named phases on one event loop.
 *
 * <pre>
 *  authenticate → receive → classify → admit → choose (P, D) → prefill leg → hand off → decode leg → settle
 *    401/429      413/408    400/404     503         503           retry       ledger      stream     waterfall
 * </pre>
 *
 * <p>{@link dev.millrace.router.Router} opens the ports. What its routing table makes is a {@code
 * Floor}, which a table that is read anew replaces as a whole. Each event loop has a lane of its
 * own: server, HTTP client, scheduler, random source; an exchange stays on its lane from the first
 * byte to the last, so that its state needs no lock. {@code Exchange} is that state, and its phases
 * read top to bottom; a {@code Leg} is one HTTP exchange with a worker, a {@code Fault} how one
 * fails, an {@code Ending} how the whole ends.
 *
 * <p>Retries and deadlines are composed with Reactor on the lane's own scheduler; cancelling that
 * one subscription resets whatever leg is open. Tokens never pass through an operator: once a
 * stream's head is released, bytes go from socket to socket.
 *
 * <p>When a retry is safe: a prefill leg may be tried on another worker at any time before its
 * answer. Parameters of a hand-off go to another decode worker only if no byte of the decode leg
 * has left us; otherwise the prompt is computed anew, because parameters that are used twice can
 * answer with another prompt's text. After the first byte to the client nothing is tried again.
 */
@NullMarked
package dev.millrace.router;

import org.jspecify.annotations.NullMarked;
