package dev.millrace.router;

import dev.millrace.config.Pool;
import dev.millrace.config.RoutingTable;
import dev.millrace.config.Tls;
import dev.millrace.config.Upstream;
import dev.millrace.router.pools.Shown;
import dev.millrace.router.pools.Worker;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.net.ClientSSLOptions;
import io.vertx.core.net.KeyCertOptions;
import io.vertx.core.net.PemKeyCertOptions;
import io.vertx.core.net.PemTrustOptions;
import io.vertx.core.net.ServerSSLOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;

/**
 * What a router shows of itself: a certificate to its clients, tokens and certificates to its
 * workers. All of it is read from the files that a table names, anew with each table, so that what
 * has been renewed is shown without a restart.
 *
 * @param server empty: clients connect in the clear
 * @param byPool what workers are shown, by the name of their pool
 */
record Credentials(Optional<ServerSSLOptions> server, Map<String, Shown> byPool) {
  private static final Set<String> PROTOCOLS = Set.of("TLSv1.2", "TLSv1.3");

  /**
   * Reads the files of a table.
   *
   * @return fails with what to do about it if one of them cannot be used
   */
  static Future<Credentials> read(Vertx vertx, RoutingTable table) {
    return vertx.executeBlocking(() -> now(vertx, table)).map(Objects::requireNonNull);
  }

  /** What a worker is shown. */
  Shown to(Worker worker) {
    return byPool.getOrDefault(worker.pool(), Shown.NOTHING);
  }

  private static Credentials now(Vertx vertx, RoutingTable table) throws IOException {
    Optional<Tls> own = table.listen().tls();
    Optional<ServerSSLOptions> server = Optional.empty();
    if (own.isPresent()) {
      ServerSSLOptions options = new ServerSSLOptions();
      options.setKeyCertOptions(keyAndCertificate(vertx, "listen.tls", own.get()));
      options.setEnabledSecureTransportProtocols(PROTOCOLS);
      options.setUseAlpn(true);
      server = Optional.of(options);
    }
    Map<String, Shown> byPool = new LinkedHashMap<>();
    for (Pool pool : table.pools().values()) {
      byPool.put(pool.name(), shown(vertx, pool));
    }
    return new Credentials(server, byPool);
  }

  private static Shown shown(Vertx vertx, Pool pool) throws IOException {
    Upstream upstream = pool.upstream();
    String of = "pools.%s.upstream".formatted(pool.name());
    Optional<String> authorization =
        upstream.tokenFile().isEmpty()
            ? Optional.empty()
            : Optional.of("Bearer " + token(of, upstream.tokenFile().get()));
    if (upstream.authorities().isEmpty() && upstream.own().isEmpty()) {
      return new Shown(authorization, Optional.empty());
    }
    ClientSSLOptions tls = new ClientSSLOptions();
    tls.setHostnameVerificationAlgorithm("HTTPS");
    tls.setEnabledSecureTransportProtocols(PROTOCOLS);
    if (upstream.authorities().isPresent()) {
      Path file = upstream.authorities().get();
      PemTrustOptions trust = new PemTrustOptions().addCertValue(content(of, file));
      usable(of, file.toString(), () -> trust.getTrustManagerFactory(vertx));
      tls.setTrustOptions(trust);
    }
    if (upstream.own().isPresent()) {
      tls.setKeyCertOptions(keyAndCertificate(vertx, of, upstream.own().get()));
    }
    return new Shown(authorization, Optional.of(tls));
  }

  private static KeyCertOptions keyAndCertificate(Vertx vertx, String of, Tls tls)
      throws IOException {
    PemKeyCertOptions options =
        new PemKeyCertOptions()
            .addCertValue(content(of, tls.certificate()))
            .addKeyValue(content(of, tls.key()));
    usable(
        of,
        "%s with %s".formatted(tls.certificate(), tls.key()),
        () -> options.getKeyManagerFactory(vertx));
    return options;
  }

  private static String token(String of, Path file) throws IOException {
    String token = content(of, file).toString().strip();
    if (token.isEmpty() || !token.chars().allMatch(c -> c > ' ' && c < 0x7F)) {
      throw new IOException(
          "%s: %s holds no token; put the one there that the workers ask for, in one line"
              .formatted(of, file));
    }
    return token;
  }

  private static Buffer content(String of, Path file) throws IOException {
    try {
      return Buffer.buffer(Files.readAllBytes(file));
    } catch (IOException e) {
      throw new IOException(
          "%s: %s cannot be read: %s; it must be there, and readable by this user"
              .formatted(of, file, e.getClass().getSimpleName()),
          e);
    }
  }

  /** What makes something of the content of files. */
  private interface Making {
    Object make() throws Exception;
  }

  private static void usable(String of, String files, Making making) throws IOException {
    try {
      Object _ = making.make();
    } catch (Exception e) {
      throw new IOException(
          "%s: %s cannot be used: %s; they must be PEM, the key not encrypted"
              .formatted(of, files, e.getMessage()),
          e);
    }
  }
}
