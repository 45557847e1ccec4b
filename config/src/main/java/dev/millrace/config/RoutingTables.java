package dev.millrace.config;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** Reads routing tables from YAML. Whatever the input, the answer is a table or complaints. */
public final class RoutingTables {
  private RoutingTables() {}

  /**
   * Reads a file; complaints name it as it was given, and files that it names are looked for beside
   * it.
   */
  public static Loaded read(Path file) {
    return switch (YamlFile.read(file)) {
      case YamlFile.Text(String text) -> parse(file.toString(), text);
      case YamlFile.Unreadable(Complaint complaint) -> new Loaded.Invalid(List.of(complaint));
    };
  }

  /**
   * Reads a text.
   *
   * @param name what complaints call it, and beside what other files are looked for
   * @param text YAML 1.2
   */
  public static Loaded parse(String name, String text) {
    return parse(name, text, System::getenv);
  }

  /**
   * Reads a text in another environment.
   *
   * @param environment gives a variable's value by its name, or null
   */
  static Loaded parse(String name, String text, UnaryOperator<@Nullable String> environment) {
    Complaints complaints = new Complaints(name);
    return YamlText.compose(text, complaints)
        .map(new Variables(environment, complaints)::in)
        .map(root ->
            new RoutingTableReader(Path.of(name), complaints).read(new Field("", root, complaints)))
        .orElseGet(complaints::invalid);
  }

  /**
   * The files that a table names and that may change while it is in force, as far as it can be
   * read. Whoever follows a table follows them, too.
   */
  public static Set<Path> named(Path file) {
    return NamedFiles.of(file, System::getenv);
  }

  /** The JSON Schema (draft 2020-12) of routing tables, as maps, lists, strings and numbers. */
  public static Map<String, Object> schema() {
    return JsonSchema.of("Millrace routing table", RoutingTableKeys.TABLE);
  }
}
