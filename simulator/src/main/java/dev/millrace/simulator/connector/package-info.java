/**
 * Hand-offs between engines as vLLM's NixlConnector does them: a prefill engine pins blocks under a
 * lease, a decode engine shakes hands, plans, reads, zeroes the tail and notifies.
 */
@NullMarked
package dev.millrace.simulator.connector;

import org.jspecify.annotations.NullMarked;
