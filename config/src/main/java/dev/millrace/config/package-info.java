/**
 * Routing tables: what an operator writes in YAML, as validated immutable records.
 *
 * <p>A {@link dev.millrace.config.RoutingTable} says where the router listens, which {@linkplain
 * dev.millrace.config.Pool pools} of prefill and decode workers exist, and which {@linkplain
 * dev.millrace.config.Route routes} send a model's requests to which pair of pools. A table that
 * exists is valid: its constructors refuse what does not hold together, so that nobody downstream
 * checks again. Tables are built in code with the same records that the reader fills.
 *
 * <p>The reader walks the YAML node tree itself instead of binding it to beans: every node knows
 * its line and column, so each {@link dev.millrace.config.Complaint} points at a place in the file,
 * and a file with five mistakes gets five complaints at once.
 *
 * <p>What the keys are for is described once more, beside the readers: a {@code Key} has its
 * value's bounds, its default and its meaning, and the JSON Schemas and the tables of the
 * documentation are both written from that. A test holds what readers ask for against what is
 * described.
 */
@NullMarked
package dev.millrace.config;

import org.jspecify.annotations.NullMarked;
