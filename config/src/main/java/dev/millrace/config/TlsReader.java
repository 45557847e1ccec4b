package dev.millrace.config;

import java.nio.file.Path;
import java.util.Optional;

/** A certificate with its key, wherever one is shown. */
final class TlsReader {
  private TlsReader() {}

  /** Both, from their files beside the one that is read. */
  static Optional<Tls> read(Section tls, Path file) {
    Optional<Path> certificate =
        tls.require("certificate", "the file with the certificate and its chain, in PEM")
            .flatMap(value -> value.path(file));
    Optional<Path> key =
        tls.require("key", "the file with the private key, in PEM")
            .flatMap(value -> value.path(file));
    return certificate.flatMap(shown -> key.map(kept -> new Tls(shown, kept)));
  }
}
