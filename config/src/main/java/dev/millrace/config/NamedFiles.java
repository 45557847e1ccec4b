package dev.millrace.config;

import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.Optional;
import java.util.Set;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * The files of keys, workers, tokens and certificates that a table names, whatever mistakes it has
 * besides. What only a start reads, such as tokens for agents, is not among them.
 */
final class NamedFiles {
  private final Path table;
  private final Set<Path> found = new LinkedHashSet<>();

  private NamedFiles(Path table) {
    this.table = table;
  }

  static Set<Path> of(Path table, UnaryOperator<@Nullable String> environment) {
    NamedFiles named = new NamedFiles(table);
    sectionOf(table, environment).ifPresent(named::all);
    return named.found;
  }

  private static Optional<Section> sectionOf(
      Path file, UnaryOperator<@Nullable String> environment) {
    if (!(YamlFile.read(file) instanceof YamlFile.Text(String text))) {
      return Optional.empty();
    }
    Complaints unsaid = new Complaints(file.toString());
    return YamlText.compose(text, unsaid)
        .map(new Variables(environment, unsaid)::in)
        .flatMap(root -> new Field("", root, unsaid).section());
  }

  private void all(Section top) {
    Optional<Section> listen = below(top, "listen");
    listen.ifPresent(all -> at(all, "keys-file"));
    listen
        .flatMap(all -> all.find("keys-file"))
        .flatMap(field -> field.path(table))
        .ifPresent(this::keys);
    listen.flatMap(all -> below(all, "tls")).ifPresent(tls -> at(tls, "certificate", "key"));
    below(top, "pools")
        .ifPresent(pools ->
            pools.entries().values().forEach(pool -> pool.section().ifPresent(this::pool)));
  }

  private void keys(Path file) {
    sectionOf(file, name -> null)
        .flatMap(all -> below(all, "tokens"))
        .flatMap(tokens -> tokens.find("jwks-file"))
        .flatMap(field -> field.path(file))
        .ifPresent(found::add);
  }

  private void pool(Section pool) {
    at(pool, "workers-file");
    Optional<Section> upstream = below(pool, "upstream");
    upstream.ifPresent(all -> at(all, "token-file"));
    upstream
        .flatMap(all -> below(all, "tls"))
        .ifPresent(tls -> at(tls, "authorities", "certificate", "key"));
  }

  private static Optional<Section> below(Section section, String key) {
    return section.find(key).flatMap(Field::section);
  }

  private void at(Section section, String... keys) {
    for (String key : keys) {
      section.find(key).flatMap(field -> field.path(table)).ifPresent(found::add);
    }
  }
}
