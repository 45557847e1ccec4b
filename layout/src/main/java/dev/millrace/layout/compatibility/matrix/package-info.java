/**
 * The compatibility matrix as vLLM's documents have it, by connector version, with what agents add.
 *
 * <p>It is for people: {@link dev.millrace.layout.compatibility.Compatibility} judges pairs. Tests
 * hold the two together, so that no cell promises what a verdict refuses. The floor is the table of
 * vLLM's page "NixlConnector Compatibility Matrix" as of connector version 2; what later versions
 * changed is laid over it, also where the page says nothing of it.
 */
@NullMarked
package dev.millrace.layout.compatibility.matrix;

import org.jspecify.annotations.NullMarked;
