package dev.millrace.config;

import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * Which requests a route takes. All of it must hold.
 *
 * @param model that they name
 * @param paths where they are posted, some of {@link #PATHS}; empty: anywhere
 * @param headers that they have, by name in lower case, each once and with this value
 */
public record Match(ModelPattern model, Set<String> paths, SortedMap<String, String> headers) {
  /** The public port's endpoints, one path for each: one that has several is meant by any. */
  public static final List<String> PATHS =
      List.of(
          "/v1/chat/completions",
          "/v1/completions",
          "/v1/responses",
          "/v1/messages",
          "/v1/messages/count_tokens",
          "/v1/embeddings",
          "/v1/rerank",
          "/v1/score",
          "/classify",
          "/pooling",
          "/v1/audio/transcriptions",
          "/v1/audio/translations",
          "/v1/audio/speech",
          "/tokenize",
          "/detokenize");

  public Match {
    paths = Collections.unmodifiableSet(new LinkedHashSet<>(paths));
    headers = Collections.unmodifiableSortedMap(new TreeMap<>(headers));
    if (!PATHS.containsAll(paths)) {
      throw new IllegalArgumentException("no endpoints: %s".formatted(paths));
    }
  }

  /** All requests for a model, or for those whose names look like it. */
  public static Match model(String pattern) {
    return new Match(new ModelPattern(pattern), Set.of(), new TreeMap<>());
  }

  /** The same for some endpoints only. */
  public Match withPaths(String... newPaths) {
    return new Match(model, new LinkedHashSet<>(List.of(newPaths)), headers);
  }

  /** The same for requests only that have a header, too. */
  public Match withHeader(String name, String value) {
    TreeMap<String, String> more = new TreeMap<>(Map.copyOf(headers));
    more.put(name, value);
    return new Match(model, paths, more);
  }

  /** How much is asked for beside the model. */
  public int conditions() {
    return (paths.isEmpty() ? 0 : 1) + headers.size();
  }
}
