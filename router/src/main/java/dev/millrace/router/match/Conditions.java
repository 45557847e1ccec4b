package dev.millrace.router.match;

import dev.millrace.config.Match;
import dev.millrace.router.http.Api;
import io.vertx.core.MultiMap;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/** What a route asks of a request beside its model. */
final class Conditions {
  private final Set<Api> apis;
  private final List<Map.Entry<String, String>> headers;

  Conditions(Match match) {
    EnumSet<Api> some = EnumSet.noneOf(Api.class);
    match.paths().forEach(path -> some.add(Objects.requireNonNull(Api.at(path), path)));
    this.apis = some.isEmpty() ? EnumSet.allOf(Api.class) : some;
    this.headers = List.copyOf(match.headers().entrySet());
  }

  boolean hold(Api api, MultiMap sent) {
    return apis.contains(api) && hold(sent);
  }

  /** Whether those hold that are about headers. */
  boolean hold(MultiMap sent) {
    return headers.isEmpty() || headers.stream().allMatch(each -> isSent(each, sent));
  }

  /** Of a header that is there twice, who stands between might have taken another one. */
  private static boolean isSent(Map.Entry<String, String> wanted, MultiMap sent) {
    List<String> values = sent.getAll(wanted.getKey());
    return values.size() == 1 && values.getFirst().equals(wanted.getValue());
  }
}
