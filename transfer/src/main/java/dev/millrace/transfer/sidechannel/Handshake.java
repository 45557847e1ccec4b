package dev.millrace.transfer.sidechannel;

/**
 * An answer of the side channel ({@code NixlHandshakePayload}). The hash is to be compared before
 * the metadata are decoded: engines with other hashes may have other schemas.
 *
 * @param compatibilityHash SHA-256 in hexadecimal over what must be equal on both sides
 * @param metadata an {@link AgentMetadata}, encoded
 */
public record Handshake(String compatibilityHash, Blob metadata) {}
