package dev.millrace.router.http;

import io.vertx.core.http.HttpMethod;
import java.util.Arrays;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Something that is asked of a response which an engine keeps: to show it, or to cancel it if it is
 * made in the background (vLLM 0.32.0, {@code responses/api_router.py}).
 *
 * @param method with which it is asked
 * @param id of the response, as the client spells it
 * @param behind what follows the id on the engine
 */
public record KeptResponse(HttpMethod method, String id, String behind) implements Classified {
  private static final String ABOVE = Api.RESPONSES.path() + "/";
  private static final String CANCEL = "/cancel";

  /** Of a query that passes; vLLM looks at nothing else. */
  private static final Pattern PARAMETER =
      Pattern.compile("(?:stream|starting_after)=[A-Za-z0-9-]{1,20}");

  /** What is asked at a path, if it is by the right method; null if there is nothing. */
  public static @Nullable KeptResponse at(String path, @Nullable String query) {
    if (!path.startsWith(ABOVE)) {
      return null;
    }
    String rest = path.substring(ABOVE.length());
    boolean cancels = rest.endsWith(CANCEL);
    String id = cancels ? rest.substring(0, rest.length() - CANCEL.length()) : rest;
    if (id.isEmpty() || id.indexOf('/') >= 0) {
      return null;
    }
    return cancels
        ? new KeptResponse(HttpMethod.POST, id, CANCEL)
        : new KeptResponse(HttpMethod.GET, id, query == null ? "" : passed(query));
  }

  private static String passed(String query) {
    String some =
        Arrays.stream(query.split("&", -1))
            .filter(each -> PARAMETER.matcher(each).matches())
            .collect(Collectors.joining("&"));
    return some.isEmpty() ? "" : "?" + some;
  }

  /** Path and query. An engine is asked for them only with an id that it has given itself. */
  public String uri() {
    return ABOVE + id + behind;
  }
}
