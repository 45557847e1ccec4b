package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.EngineKind;
import dev.millrace.config.Match;
import dev.millrace.config.Pairing;
import dev.millrace.config.Pool;
import dev.millrace.config.Role;
import dev.millrace.config.Route;
import dev.millrace.config.Verify;
import dev.millrace.config.WorkerAddress;
import dev.millrace.router.http.Api;
import dev.millrace.router.match.ServedRoute;
import io.vertx.core.MultiMap;
import java.net.URI;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.From;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.lifecycle.AfterContainer;

/** Which of many routes takes a request, against a search through all of them. */
class RouteOrderTest {
  private static final Floors FLOORS = new Floors();

  @AfterContainer
  static void close() {
    FLOORS.close();
  }

  /** A request, as far as routes look at it. */
  record Asked(String model, Api api, Optional<String> tenant) {
    MultiMap headers() {
      MultiMap headers = MultiMap.caseInsensitiveMultiMap();
      tenant.ifPresent(value -> headers.add("X-Tenant", value));
      return headers;
    }
  }

  @Provide
  Arbitrary<Match> matches() {
    Arbitrary<String> patterns =
        Arbitraries.strings().withChars('a', 'b', '*', '?').ofMinLength(1).ofMaxLength(4);
    Arbitrary<Optional<String>> tenants = Arbitraries.of("1", "2").optional(0.4);
    Arbitrary<List<String>> paths =
        Arbitraries.of("/v1/completions", "/v1/chat/completions", "/tokenize")
            .list()
            .uniqueElements()
            .ofMaxSize(2);
    return Combinators.combine(patterns, tenants, paths)
        .as((pattern, tenant, where) -> {
          Match match = Match.model(pattern).withPaths(where.toArray(String[]::new));
          return tenant.map(value -> match.withHeader("x-tenant", value)).orElse(match);
        });
  }

  @Provide
  Arbitrary<Asked> requests() {
    return Combinators.combine(
            Arbitraries.strings().withChars('a', 'b').ofMinLength(1).ofMaxLength(4),
            Arbitraries.of(Api.COMPLETIONS, Api.CHAT_COMPLETIONS, Api.TOKENIZE),
            Arbitraries.of("1", "2", "3").optional(0.7))
        .as(Asked::new);
  }

  @Property(tries = 200)
  void route_isTheFirstInTheDocumentedOrderThatMatches(
      @ForAll List<@From("matches") Match> matches,
      @ForAll List<@From("requests") Asked> requests) {
    List<Match> different = matches.stream().distinct().limit(12).toList();
    if (different.isEmpty()) {
      return;
    }
    Floor floor = floor(different);

    for (Asked asked : requests) {
      ServedRoute found = floor.route(asked.model(), asked.api(), asked.headers());

      assertThat(found == null ? "none" : found.name()).isEqualTo(bySearch(different, asked));
    }
  }

  /** Compares each with each: whoever is beaten by nobody. */
  private static String bySearch(List<Match> matches, Asked asked) {
    List<Integer> able = new ArrayList<>();
    for (int i = 0; i < matches.size(); i++) {
      Match match = matches.get(i);
      String path = asked.api().path();
      boolean all =
          Pattern.matches(match.model().text().replace("*", ".*").replace("?", "."), asked.model())
              && (match.paths().isEmpty() || match.paths().contains(path))
              && (match.headers().isEmpty()
                  || asked.tenant().equals(Optional.ofNullable(match.headers().get("x-tenant"))));
      if (all) {
        able.add(i);
      }
    }
    return able.stream()
        .filter(one ->
            able.stream().noneMatch(other -> isBefore(matches, other, one) && !other.equals(one)))
        .findFirst()
        .map(best -> "r" + best)
        .orElse("none");
  }

  private static boolean isBefore(List<Match> matches, int first, int second) {
    int[] a = rank(matches.get(first));
    int[] b = rank(matches.get(second));
    for (int i = 0; i < a.length; i++) {
      if (a[i] != b[i]) {
        return a[i] > b[i];
      }
    }
    return first < second;
  }

  /** An exact name, how much of its beginning, how much of it, its length, conditions. */
  private static int[] rank(Match match) {
    String pattern = match.model().text();
    String literals = pattern.replaceAll("[*?]", "");
    return new int[] {
      literals.equals(pattern) ? 1 : 0,
      pattern.split("[*?]", -1)[0].length(),
      literals.length(),
      pattern.replaceAll("[^?]", "").length(),
      (match.paths().isEmpty() ? 0 : 1) + match.headers().size()
    };
  }

  /** Of routes that are called by their number. */
  private static Floor floor(List<Match> matches) {
    List<Pool> pools = new ArrayList<>();
    List<Route> routes = new ArrayList<>();
    Set<String> models = new HashSet<>();
    for (Match match : matches) {
      String model = match.model().text().replaceAll("[*?]", "a");
      if (models.add(model)) {
        WorkerAddress worker = WorkerAddress.of(URI.create("http://" + model));
        pools.add(Pool.of(model, Role.BOTH, model, EngineKind.VLLM, List.of(worker)));
      }
      routes.add(
          Route.aggregated(model, dev.millrace.config.Stage.roundRobin(model))
              .withName("r" + routes.size())
              .withMatch(match)
              .withPairing(Pairing.defaults().withVerify(Verify.TRUST)));
    }
    return FLOORS.of(pools, routes);
  }
}
