package dev.millrace.config;

import java.nio.file.Path;

/**
 * What a port shows to clients that connect by TLS.
 *
 * @param certificate its certificate and those that vouch for it, in PEM
 * @param key its private key, in PEM, not encrypted
 */
public record Tls(Path certificate, Path key) {}
