package dev.millrace.config;

import static dev.millrace.config.Complaints.quote;

import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.GeometryText;
import dev.millrace.layout.IncompatibleGeometry;
import java.util.Optional;
import java.util.regex.Pattern;

/** What is declared of the engines of a pool or of one worker: the same keys in both places. */
final class DeclaredReader {
  private static final Pattern VERSION = Pattern.compile("\\d+\\.\\d+[0-9A-Za-z.+_-]*");
  private static final int MOST_CONNECTOR_VERSION = 1000;

  private DeclaredReader() {}

  static Declared read(Section section) {
    return new Declared(
        section.find("vllm-version").flatMap(DeclaredReader::version),
        section
            .find("connector-version")
            .flatMap(field -> field.integer(1, MOST_CONNECTOR_VERSION)),
        section.find("nixl-version").flatMap(DeclaredReader::version),
        section.find("geometry").flatMap(DeclaredReader::geometry),
        section.find("lease").flatMap(Field::duration));
  }

  private static Optional<String> version(Field field) {
    return field
        .text()
        .flatMap(text ->
            VERSION.matcher(text).matches()
                ? Optional.of(text)
                : field.refuse("%s is not a version such as 0.32.0".formatted(quote(text))));
  }

  private static Optional<GeometrySpec> geometry(Field field) {
    return field
        .text()
        .flatMap(text -> {
          try {
            GeometrySpec spec = GeometryText.parse(text);
            // Building it once finds what does not go together.
            spec.geometry();
            return Optional.of(spec);
          } catch (IllegalArgumentException | IncompatibleGeometry e) {
            return field.refuse(String.valueOf(e.getMessage()));
          }
        });
  }
}
