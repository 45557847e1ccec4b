package dev.millrace.router.choose;

import dev.millrace.config.SessionKey;
import dev.millrace.router.http.ClientRequest;
import dev.millrace.router.http.ClientRequest.Course;
import dev.millrace.router.pools.Worker;
import io.vertx.core.MultiMap;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * What policies look at of a request. Each trait is worked out when a policy first asks for it, and
 * then kept: routes whose policies ask for none pay for none. Owned by the exchange's event loop.
 */
public final class Traits {
  /** Most answers are shorter, and a cache that is given away to the last answer is never full. */
  private static final int USUAL_ANSWER_TOKENS = 256;

  private final ClientRequest client;
  private final MultiMap headers;
  private final @Nullable Worker keeper;
  private @Nullable Session session;
  private @Nullable Prefixes prefixes;

  private @Nullable Judged judged;
  private long bytesUnderWay;
  private long answerTokens = -1;

  /** What was thought of its two ways, and who did. */
  private record Judged(BreakEven by, Weighed weighed) {}

  private record Session(SessionKey from, OptionalLong hash) {}

  /** The traits of a request, of which nothing is looked at yet. */
  public Traits(ClientRequest client, MultiMap headers) {
    this(client, headers, null);
  }

  /**
   * The same of a request about a response.
   *
   * @param keeper that keeps the response which it is about, or from which it goes on; null if that
   *     is not known
   */
  public Traits(ClientRequest client, MultiMap headers, @Nullable Worker keeper) {
    this.client = client;
    this.headers = headers;
    this.keeper = keeper;
  }

  /** Who keeps the response that it is about; null if it is about none, or nobody knows. */
  @Nullable Worker keeper() {
    return keeper;
  }

  /** Which workers may compute it. */
  Course course() {
    return client.course();
  }

  /** Bytes of its prompt as it is spelt; at least one, for nothing is no load. */
  long promptBytes() {
    return Math.max(1, client.prompt().bytes());
  }

  /** Tokens of a usual answer, unless it allows fewer; what long ones have more is seen later. */
  long answerTokens() {
    if (answerTokens < 0) {
      answerTokens =
          Math.clamp(client.mostAnswerTokens(USUAL_ANSWER_TOKENS), 0, USUAL_ANSWER_TOKENS);
    }
    return answerTokens;
  }

  /** Which way it is worth, by what was measured; an exchange's retries keep to it. */
  Weighed weighed(BreakEven by, Supplier<Weighed> weighing) {
    Judged known = judged;
    if (known == null || known.by != by) {
      known = new Judged(by, weighing.get());
      judged = known;
    }
    return known.weighed;
  }

  /** What was thought of its two ways, if anybody has. */
  public Optional<Weighed> weighed() {
    return Optional.ofNullable(judged).map(Judged::weighed);
  }

  /** Notes the bytes of prompts that are under way on its prefill worker, its own among them. */
  void bytesUnderWay(long bytes) {
    bytesUnderWay = bytes;
  }

  /** Those at the moment when its prompt was sent there. */
  long bytesUnderWay() {
    return bytesUnderWay;
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
