package dev.millrace.config;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/**
 * Described keys as a JSON Schema (draft 2020-12), as maps, lists, strings and numbers.
 *
 * <p>It says what a file's structure may be: every table that the readers take fits, while some
 * that fit are refused by them, such as one whose route names a pool that is not there.
 */
final class JsonSchema {
  private static final String DIALECT = "https://json-schema.org/draft/2020-12/schema";

  /** Numbers in quotes. */
  private static final String DIGITS = "^\\+?\\d{1,10}$";

  private static final String SIGNED = "^[+-]?\\d{1,10}$";

  private JsonSchema() {}

  /** The schema of a file with these keys. */
  static Map<String, Object> of(String title, List<Key> keys) {
    Map<String, Object> schema = new LinkedHashMap<>();
    schema.put("$schema", DIALECT);
    schema.put("title", title);
    schema.putAll(group(keys));
    return schema;
  }

  private static Map<String, Object> of(Key key) {
    Map<String, Object> schema = new LinkedHashMap<>();
    schema.put("description", description(key));
    schema.putAll(of(key.value()));
    if (key.absence() instanceof Absence.Default(Object value)) {
      schema.put("default", value);
    }
    return schema;
  }

  /** The meaning with what the schema's own words cannot say. */
  private static String description(Key key) {
    String bounds =
        key.value() instanceof Value.Form(String what, Pattern _) ? " (" + what + ")" : "";
    String otherwise =
        key.absence() instanceof Absence.Otherwise(String words) ? "; default: " + words : "";
    return key.meaning() + bounds + otherwise;
  }

  private static Map<String, Object> of(Value value) {
    return switch (value) {
      case Value.Word(String _, Pattern pattern) ->
          schema("type", List.of("string", "number", "boolean"), "pattern", whole(pattern));
      case Value.Form(String _, Pattern pattern) ->
          schema("type", "string", "pattern", whole(pattern));
      case Value.Whole(long least, long most) -> {
        Map<String, Object> schema = schema("type", List.of("integer", "string"));
        schema.put("minimum", least);
        schema.put("maximum", most);
        schema.put("pattern", least < 0 ? SIGNED : DIGITS);
        yield schema;
      }
      case Value.Choice choice -> schema("type", "string", "enum", choice.all());
      case Value.Flag() ->
          schema(
              "type", List.of("boolean", "string"), "enum", List.of(true, false, "true", "false"));
      case Value.Foreign() -> schema("type", List.of("object", "string"));
      case Value.ListOf(Value each, int least) ->
          schema("type", "array", "minItems", least, "items", of(each));
      case Value.Named(Pattern name, Value each) -> {
        Map<String, Object> schema = schema("type", "object", "minProperties", 1);
        schema.put("propertyNames", Map.of("pattern", whole(name)));
        schema.put("additionalProperties", of(each));
        yield schema;
      }
      case Value.Group group -> group(group.all());
    };
  }

  private static Map<String, Object> group(List<Key> keys) {
    Map<String, Object> properties = new LinkedHashMap<>();
    keys.forEach(key -> properties.put(key.name(), of(key)));
    List<String> required =
        keys.stream()
            .filter(key -> key.absence() instanceof Absence.Mistake)
            .map(Key::name)
            .toList();
    Map<String, Object> schema = schema("type", "object");
    if (!required.isEmpty()) {
      schema.put("required", required);
    }
    schema.put("properties", properties);
    schema.put("additionalProperties", false);
    return schema;
  }

  private static Map<String, Object> schema(Object... keysAndValues) {
    Map<String, Object> schema = new LinkedHashMap<>();
    for (int i = 0; i < keysAndValues.length; i += 2) {
      schema.put((String) keysAndValues[i], keysAndValues[i + 1]);
    }
    return schema;
  }

  private static String whole(Pattern pattern) {
    return "^(?:" + pattern + ")$";
  }
}
