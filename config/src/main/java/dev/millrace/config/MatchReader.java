package dev.millrace.config;

import static dev.millrace.config.Complaints.quote;

import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Pattern;

/** Which requests routes take, and that no two take the same. */
final class MatchReader {
  /** A field name of HTTP (RFC 9110 §5.1). */
  static final Pattern HEADER = Pattern.compile("[A-Za-z0-9!#$%&'*+.^_`|~-]+");

  /** A proxy on the way takes these out or puts others in (RFC 9110 §7.6.1, §8.6, §10.1.1). */
  private static final Set<String> OF_ONE_CONNECTION =
      Set.of(
          "connection",
          "content-length",
          "expect",
          "keep-alive",
          "proxy-authenticate",
          "proxy-authorization",
          "proxy-connection",
          "te",
          "trailer",
          "transfer-encoding",
          "upgrade");

  /** A meaning of their own, to Millrace or between it and engines. */
  private static final Pattern MEANT_FOR_MILLRACE =
      Pattern.compile(
          "x-request-id|x-request-timeout|accept-encoding|content-encoding"
              + "|x-(data-parallel|bootstrap|prefiller|millrace)-.*");

  private static final Set<String> SECRET = Set.of("authorization", "x-api-key", "cookie");

  private final Map<Match, Field> taken = new HashMap<>();

  /** What a route matches; empty after a complaint. */
  Optional<Match> read(Section route) {
    Optional<Section> section = route.require("match", "{model: NAME}").flatMap(Field::section);
    if (section.isEmpty()) {
      return Optional.empty();
    }
    Section match = section.get();
    Optional<Field> field = match.require("model", "the model name that clients send");
    Set<String> paths = new LinkedHashSet<>();
    match
        .find("paths")
        .flatMap(Field::items)
        .orElse(List.of())
        .forEach(item -> path(item).ifPresent(paths::add));
    SortedMap<String, String> headers = headers(match);
    match.refuseOtherKeys();
    return field
        .flatMap(MatchReader::pattern)
        .map(model -> new Match(model, paths, headers))
        .filter(read -> isFirst(field.get(), read));
  }

  private static Optional<ModelPattern> pattern(Field field) {
    return field
        .text()
        .flatMap(text ->
            text.length() <= ModelPattern.LONGEST
                ? Optional.of(new ModelPattern(text))
                : field.refuse(
                    "has %d characters; no model has more than %d in its name"
                        .formatted(text.length(), ModelPattern.LONGEST)));
  }

  private boolean isFirst(Field field, Match match) {
    Field first = taken.putIfAbsent(match, field);
    if (first != null) {
      field.complain(
          "%s is matched already on line %d%s; this route would never be taken, remove one of them"
              .formatted(
                  quote(match.model().text()),
                  Place.of(first.node()).line(),
                  match.conditions() == 0 ? "" : " with the same paths and headers"));
    }
    return first == null;
  }

  private static Optional<String> path(Field field) {
    return field
        .text()
        .flatMap(text ->
            Match.PATHS.contains(text)
                ? Optional.of(text)
                : field.refuse(
                    "%s is no endpoint that routes serve; known: %s%s"
                        .formatted(
                            quote(text),
                            String.join(", ", Match.PATHS),
                            Nearest.hint(text, Match.PATHS))));
  }

  private static SortedMap<String, String> headers(Section match) {
    SortedMap<String, String> headers = new TreeMap<>();
    Optional<Section> section = match.find("headers").flatMap(Field::section);
    if (section.isPresent() && section.get().entries().isEmpty()) {
      section.get().refuse("names no header; write {NAME: VALUE} or remove the key");
    }
    section.ifPresent(given ->
        given
            .entries()
            .forEach((name, field) -> {
              String lower = name.toLowerCase(Locale.ROOT);
              Optional<String> value = field.text();
              Optional<String> fault =
                  headers.containsKey(lower)
                      ? Optional.of("stands here a second time in another case; keep one of them")
                      : fault(name, lower);
              fault.ifPresent(said -> field.complaints().add(given.key(name), field.path(), said));
              value
                  .filter(text -> fault.isEmpty() && isSent(field, text))
                  .ifPresent(text -> headers.put(lower, text));
            }));
    return headers;
  }

  private static Optional<String> fault(String name, String lower) {
    if (!HEADER.matcher(name).matches()) {
      return Optional.of("is not the name of a header; such as x-tenant");
    }
    if (OF_ONE_CONNECTION.contains(lower)) {
      return Optional.of(
          "belongs to one connection, and any proxy may change it; match a header of your own, such"
              + " as x-tenant");
    }
    if (MEANT_FOR_MILLRACE.matcher(lower).matches()) {
      return Optional.of("has a meaning to Millrace; match a header of your own, such as x-tenant");
    }
    return SECRET.contains(lower)
        ? Optional.of("is a secret, which a table is no place for; see listen.keys-file")
        : Optional.empty();
  }

  /** Parsers take white space off both ends (RFC 9112 §5.1), so a value with some never comes. */
  private static boolean isSent(Field field, String value) {
    boolean sent =
        value.equals(value.strip()) && value.chars().allMatch(each -> each >= ' ' && each < 127);
    if (!sent) {
      field.complain(
          "%s never stands in a header; write printable ASCII without white space around it"
              .formatted(quote(value)));
    }
    return sent;
  }
}
