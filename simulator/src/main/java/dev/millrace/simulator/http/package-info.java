/** The engine's HTTP face: vLLM's routes, bodies, streams, errors and metrics, key for key. */
@NullMarked
package dev.millrace.simulator.http;

import org.jspecify.annotations.NullMarked;
