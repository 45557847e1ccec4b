package dev.millrace.config;

import static dev.millrace.config.Complaints.quote;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeSet;

/** The routes of a routing table. */
final class RoutesReader {
  private final PoolPairReader pairs;
  private final SplitReader splits;
  private final boolean agentsListed;
  private final MatchReader matches = new MatchReader();
  private final Map<String, Field> named = new HashMap<>();
  private final Map<String, Field> fallbacks = new LinkedHashMap<>();
  private final Fallbacks chains = new Fallbacks();

  /**
   * Reads routes against what was read before them.
   *
   * @param agentsListed whether the table has agents, of whatever kind
   */
  RoutesReader(PoolsReader pools, boolean agentsListed) {
    this.pairs = new PoolPairReader(pools);
    this.splits = new SplitReader(pairs);
    this.agentsListed = agentsListed;
  }

  List<Route> read(Section top) {
    List<Route> read = new ArrayList<>();
    top.require("routes", "a list of {match, prefill, decode}")
        .flatMap(Field::items)
        .orElse(List.of())
        .forEach(item -> route(item).ifPresent(read::add));
    judgeFallbacks();
    return read;
  }

  /** Once all routes are known by their names. */
  private void judgeFallbacks() {
    Set<String> reported = new HashSet<>();
    fallbacks.forEach((from, field) -> {
      List<String> chain = chains.chain(from);
      String to = chain.get(1);
      if (!named.containsKey(to)) {
        field.complain(
            "there is no route %s; known: %s%s"
                .formatted(
                    quote(to),
                    String.join(", ", new TreeSet<>(named.keySet())),
                    Nearest.hint(to, named.keySet())));
      } else if (chains.isInCycle(from) && reported.add(from)) {
        reported.addAll(chain);
        field.complain(
            "leads back to where it began, %s; one of these routes has to be the last"
                .formatted(String.join(" -> ", chain)));
      } else if (chains.isTooLong(from)) {
        field.complain(
            "leads through %d more routes, %s; %d are the most"
                .formatted(chain.size() - 1, String.join(" -> ", chain), Fallbacks.MOST));
      }
    });
  }

  private Optional<Route> route(Field item) {
    Optional<Section> section = item.section();
    if (section.isEmpty()) {
      return Optional.empty();
    }
    Section route = section.get();
    Optional<Match> match = matches.read(route);
    Optional<String> name = name(route, match);
    Optional<PoolPairReader.PoolPair> pools = pairs.read(route, match.map(Match::model));
    boolean disaggregated = route.find(Role.PREFILL.keyword()).isPresent();
    Optional<Field> splitField = route.find("split");
    Optional<Split> split = splitField.flatMap(field -> splits.read(field, asked(match, pools)));
    Optional<Field> fallbackField = route.find("fallback");
    Optional<String> fallback = fallbackField.flatMap(Field::text);
    name.ifPresent(from ->
        fallback.ifPresent(to -> {
          chains.add(from, to);
          fallbacks.put(from, fallbackField.get());
        }));
    Pairing pairing = pairing(route);
    Deadlines deadlines = route.part("deadlines", Deadlines.defaults(), RoutesReader::deadlines);
    Retries retries = route.part("retries", Retries.defaults(), RoutesReader::retries);
    Limits limits = route.part("limits", Limits.defaults(), RoutesReader::limits);
    Bypass bypass = bypass(route, disaggregated);
    route.refuseOtherKeys();
    boolean complete =
        match.isPresent()
            && name.isPresent()
            && pools.isPresent()
            && split.isPresent() == splitField.isPresent()
            && fallback.isPresent() == fallbackField.isPresent();
    return complete
        ? Optional.of(
            new Route(
                name.get(),
                match.get(),
                pools.get().servedModelName(),
                pools.get().prefill(),
                pools.get().decode(),
                split,
                fallback,
                pairing,
                deadlines,
                retries,
                limits,
                bypass))
        : Optional.empty();
  }

  /** For which models engines of branches are asked; empty if that cannot be told. */
  private static Optional<ModelPattern> asked(
      Optional<Match> match, Optional<PoolPairReader.PoolPair> pools) {
    return pools.flatMap(
        own -> own.servedModelName().map(ModelPattern::new).or(() -> match.map(Match::model)));
  }

  /** Its own, or its model's where that is nobody else's. */
  private Optional<String> name(Section route, Optional<Match> match) {
    Optional<Field> own = route.find("name");
    Optional<String> name =
        own.isPresent() ? own.get().text() : match.map(read -> read.model().text());
    if (name.isPresent()) {
      Field said = own.orElseGet(() -> route.find("match").orElseThrow());
      Field first = named.putIfAbsent(name.get(), said);
      if (first != null) {
        return said.refuse(
            "the route on line %d is called %s, too; give this one a \"name\" of its own"
                .formatted(Place.of(first.node()).line(), quote(name.get())));
      }
    }
    return name;
  }

  private Pairing pairing(Section route) {
    Pairing defaults = Pairing.defaults();
    Optional<Field> transfer = route.find("transfer");
    Transfer way = choice(transfer, Transfer.values(), defaults.transfer());
    if (way.needsAgent() && !agentsListed) {
      transfer
          .orElseThrow()
          .complain("%s needs a KV agent; list one under \"agents\"".formatted(way.keyword()));
    }
    return new Pairing(
        way,
        choice(route.find("verify"), Verify.values(), defaults.verify()),
        choice(route.find("canary"), CanaryRule.values(), defaults.canary()),
        choice(route.find("on-mismatch"), OnMismatch.values(), defaults.onMismatch()),
        choice(route.find("on-recompute"), OnRecompute.values(), defaults.onRecompute()));
  }

  private static <E extends Enum<E> & Keyword> E choice(
      Optional<Field> field, E[] values, E otherwise) {
    return field.flatMap(found -> found.choice(values)).orElse(otherwise);
  }

  private static Deadlines deadlines(Section deadlines) {
    Deadlines defaults = Deadlines.defaults();
    return new Deadlines(
        deadlines.duration("prefill", defaults.prefill()),
        deadlines.duration("first-token", defaults.firstToken()),
        deadlines.duration("stream-idle", defaults.streamIdle()),
        deadlines.duration("total", defaults.total()));
  }

  private static Retries retries(Section retries) {
    Retries defaults = Retries.defaults();
    return new Retries(
        retries.integer("prefill", 0, Retries.MOST, defaults.prefill()),
        retries.integer("decode", 0, Retries.MOST, defaults.decode()),
        retries.integer(
            "budget-percent", 0, Retries.MOST_BUDGET_PERCENT, defaults.budgetPercent()));
  }

  private static Limits limits(Section limits) {
    Limits defaults = Limits.defaults();
    return new Limits(
        limits.integer("concurrent", 1, Limits.MOST, defaults.concurrent()),
        limits.integer("waiting", 0, Limits.MOST, defaults.waiting()),
        limits.duration("wait", defaults.patience()),
        perMinute(limits, "requests-per-minute", AccessKey.MOST_PER_MINUTE),
        perMinute(limits, "tokens-per-minute", AccessKey.MOST_TOKENS_PER_MINUTE));
  }

  private static OptionalInt perMinute(Section limits, String key, int most) {
    return limits
        .find(key)
        .flatMap(value -> value.integer(1, most))
        .map(OptionalInt::of)
        .orElse(OptionalInt.empty());
  }

  private static Bypass bypass(Section route, boolean disaggregated) {
    Optional<Field> field = route.find("bypass");
    if (field.isPresent() && !disaggregated) {
      field.get().complain("bypasses prefill, which this route does not have");
    }
    return route.part("bypass", Bypass.none(), bypass -> bypass(bypass, field));
  }

  private static Bypass bypass(Section bypass, Optional<Field> itself) {
    Optional<Field> size = bypass.find("prompt-bytes-below");
    Optional<Field> breakEven = bypass.find("break-even");
    if (size.isEmpty() && breakEven.isEmpty()) {
      itself.ifPresent(
          field -> field.complain("says nothing; set prompt-bytes-below, break-even, or both"));
    }
    return new Bypass(
        size.flatMap(field -> field.bytes(1, Bypass.MOST_BYTES)).orElse(0L),
        breakEven.flatMap(Field::flag).orElse(false));
  }
}
