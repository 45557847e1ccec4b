package dev.millrace.router.http;

import dev.millrace.config.Cors;
import io.vertx.core.MultiMap;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpServerResponse;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * What browsers ask before they let a web page of another origin send a request, and read its
 * answer (the Fetch standard, "HTTP extensions", CORS).
 *
 * <p>Keys come in headers that pages set themselves, so no credentials of the browser's own are
 * ever allowed, and whatever headers a page wants to send it may. Engines' own words on this do not
 * pass: vLLM's default allows any origin.
 */
public final class CrossOrigin {
  private static final CharSequence ALLOW_ORIGIN =
      HttpHeaders.createOptimized("access-control-allow-origin");
  private static final CharSequence EXPOSE =
      HttpHeaders.createOptimized("access-control-expose-headers");
  private static final CharSequence ALLOW_METHODS =
      HttpHeaders.createOptimized("access-control-allow-methods");
  private static final CharSequence ALLOW_HEADERS =
      HttpHeaders.createOptimized("access-control-allow-headers");
  private static final CharSequence MAX_AGE = HttpHeaders.createOptimized("access-control-max-age");
  private static final CharSequence ASKED_METHOD =
      HttpHeaders.createOptimized("access-control-request-method");
  private static final CharSequence ASKED_HEADERS =
      HttpHeaders.createOptimized("access-control-request-headers");

  /** What clients read beside the body; pages see no other header but a few safe ones. */
  private static final CharSequence EXPOSED =
      HttpHeaders.createOptimized(
          "x-request-id, retry-after, x-ratelimit-limit-requests, x-ratelimit-remaining-requests,"
              + " x-ratelimit-reset-requests, x-ratelimit-limit-tokens,"
              + " x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens");

  private static final CharSequence VARY_BY_ORIGIN = HttpHeaders.createOptimized("origin");
  private static final CharSequence VARY_BY_ALL =
      HttpHeaders.createOptimized(
          "origin, access-control-request-method, access-control-request-headers");

  /** Ten minutes: as long as any browser keeps it that does not keep it for longer. */
  private static final CharSequence TEN_MINUTES = HttpHeaders.createOptimized("600");

  /** Names of headers between commas (RFC 9110, 5.1), as many as fit. */
  private static final Pattern NAMES = Pattern.compile("[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,4096}");

  private CrossOrigin() {}

  /** Says of the answer to a request whether its page may read it, before anything else is said. */
  public static void allow(Cors cors, HttpServerRequest request) {
    MultiMap headers = request.response().headers();
    @Nullable String origin = request.getHeader(HttpHeaders.ORIGIN);
    boolean allowed = origin != null && (cors.isForAny() || cors.origins().contains(origin));
    if (allowed) {
      headers.set(ALLOW_ORIGIN, cors.isForAny() ? Cors.ANY : origin);
      headers.set(EXPOSE, EXPOSED);
    }
    if (!cors.isForAny()) {
      headers.set(HttpHeaders.VARY, VARY_BY_ORIGIN);
    }
  }

  /** Whether a browser asks on behalf of a page that may ask. */
  public static boolean isAllowedPreflight(HttpServerRequest request) {
    return request.method().equals(HttpMethod.OPTIONS)
        && request.headers().contains(ASKED_METHOD)
        && request.response().headers().contains(ALLOW_ORIGIN);
  }

  /**
   * Tells a browser what the page may send.
   *
   * @param methods of the path
   */
  public static void tell(HttpServerRequest request, String methods) {
    HttpServerResponse response = request.response();
    response.headers().set(ALLOW_METHODS, methods);
    @Nullable String names = request.getHeader(ASKED_HEADERS);
    if (names != null && NAMES.matcher(names).matches()) {
      response.headers().set(ALLOW_HEADERS, names);
    }
    response.headers().set(MAX_AGE, TEN_MINUTES);
    response.headers().set(HttpHeaders.VARY, VARY_BY_ALL);
  }
}
