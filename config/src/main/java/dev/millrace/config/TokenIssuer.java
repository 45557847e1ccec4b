package dev.millrace.config;

import java.nio.file.Path;

/**
 * Whose tokens (JWT, RFC 7519) are believed.
 *
 * @param jwksFile its public keys, a JSON Web Key Set (RFC 7517)
 * @param issuer what tokens must say in {@code iss}
 * @param audience what tokens must have among {@code aud}, so that those for other services are not
 *     believed
 */
public record TokenIssuer(Path jwksFile, String issuer, String audience) {}
