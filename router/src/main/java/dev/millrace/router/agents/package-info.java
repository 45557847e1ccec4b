/**
 * The KV agents that a router may call.
 *
 * <p>An agent is a process that moves blocks; the router's own has no part in that. {@link
 * dev.millrace.router.agents.Agents} asks each of them once a second what it is and holds, so that
 * an exchange which needs one finds out without waiting whether there is one that reaches an
 * engine's side channel. An agent that does not answer is left alone until it does.
 */
@NullMarked
package dev.millrace.router.agents;

import org.jspecify.annotations.NullMarked;
