package dev.millrace.config;

import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.Optional;
import java.util.Set;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** The files of keys and of workers that a table names, whatever mistakes it has besides. */
final class NamedFiles {
  private NamedFiles() {}

  static Set<Path> of(Path table, UnaryOperator<@Nullable String> environment) {
    return switch (YamlFile.read(table)) {
      case YamlFile.Text(String text) -> {
        Complaints unsaid = new Complaints(table.toString());
        yield YamlText.compose(text, unsaid)
            .map(new Variables(environment, unsaid)::in)
            .flatMap(root -> new Field("", root, unsaid).section())
            .map(top -> of(table, top))
            .orElse(Set.of());
      }
      case YamlFile.Unreadable(_) -> Set.of();
    };
  }

  private static Set<Path> of(Path table, Section top) {
    Set<Path> named = new LinkedHashSet<>();
    top.find("listen")
        .flatMap(Field::section)
        .flatMap(listen -> listen.find("keys-file"))
        .flatMap(keys -> keys.path(table))
        .ifPresent(named::add);
    WorkersReader workers = new WorkersReader(table);
    Optional<Section> pools = top.find("pools").flatMap(Field::section);
    pools.ifPresent(all ->
        all.entries()
            .values()
            .forEach(pool -> pool.section().flatMap(workers::file).ifPresent(named::add)));
    return named;
  }
}
