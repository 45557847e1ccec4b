package dev.millrace.router.choose;

import dev.millrace.config.SessionKey;
import dev.millrace.router.http.ClientRequest;
import dev.millrace.router.http.ClientRequest.Course;
import io.vertx.core.MultiMap;
import java.util.Optional;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * What policies look at of a request. Each trait is worked out when a policy first asks for it, and
 * then kept: routes whose policies ask for none pay for none. Owned by the exchange's event loop.
 */
public final class Traits {
  private final ClientRequest client;
  private final MultiMap headers;
  private @Nullable Session session;
  private @Nullable Prefixes prefixes;

  private record Session(SessionKey from, OptionalLong hash) {}

  /** The traits of a request, of which nothing is looked at yet. */
  public Traits(ClientRequest client, MultiMap headers) {
    this.client = client;
    this.headers = headers;
  }

  /** Which workers may compute it. */
  Course course() {
    return client.course();
  }

  /** Bytes of its prompt as it is spelt; at least one, for nothing is no load. */
  long promptBytes() {
    return Math.max(1, client.prompt().bytes());
  }

  /** The hash of its session's key; empty if it names none. */
  public OptionalLong session(SessionKey from) {
    Session known = session;
    if (known == null || !known.from.equals(from)) {
      known = new Session(from, hash(from));
      session = known;
    }
    return known.hash;
  }

  private OptionalLong hash(SessionKey from) {
    Optional<String> key =
        switch (from) {
          case SessionKey.Header(String name) -> Optional.ofNullable(headers.get(name));
          case SessionKey.BodyField(String name) -> client.text(name);
        };
    return key.filter(text -> !text.isBlank())
        .map(text -> OptionalLong.of(Fingerprint.of(text)))
        .orElse(OptionalLong.empty());
  }

  /** The hashes of its prompt's beginnings. */
  Prefixes prefixes() {
    Prefixes known = prefixes;
    if (known == null) {
      known = Prefixes.of(client.model(), client.prompt());
      prefixes = known;
    }
    return known;
  }
}
