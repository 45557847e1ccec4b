package dev.millrace.cli;

import dev.millrace.config.HostPort;
import dev.millrace.layout.GeometrySpec;
import java.net.URI;

/**
 * A prefill or decode engine of a demo, wherever it runs.
 *
 * @param uri where it answers HTTP
 * @param sideChannel where it answers handshakes
 * @param geometry of its cache
 */
record DemoEngine(URI uri, HostPort sideChannel, GeometrySpec geometry) {}
