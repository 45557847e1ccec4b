package dev.millrace.layout.compatibility;

/**
 * A fact of an engine with its source.
 *
 * @param value what is known
 * @param origin how
 * @param where place that a person can look at, such as {@code routes.yaml:14:7} or {@code
 *     handshake of rank (0, 0)}
 */
public record Known<T>(T value, Origin origin, String where) {}
