package dev.millrace.simulator;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** Looks into JSON texts. */
final class Json {
  private static final JsonFactory FACTORY = new JsonFactory();

  private Json() {}

  /**
   * The skeleton of a JSON text: keys in order with the types of their values, such as {@code
   * choices[].text:string}. An array shows its first element.
   */
  static List<String> shape(String json) {
    try (JsonParser parser = FACTORY.createParser(json)) {
      List<String> lines = new ArrayList<>();
      parser.nextToken();
      shape(parser, "", lines);
      return lines;
    } catch (IOException e) {
      throw new AssertionError(json, e);
    }
  }

  /** The text of the value at a path such as {@code choices[].text}, the first that fits. */
  static String at(String json, String path) {
    return all(json, path).getFirst();
  }

  /** The texts of all values at a path. */
  static List<String> all(String json, String path) {
    try (JsonParser parser = FACTORY.createParser(json)) {
      List<String> found = new ArrayList<>();
      parser.nextToken();
      collect(parser, "", path, found);
      return found;
    } catch (IOException e) {
      throw new AssertionError(json, e);
    }
  }

  /** The value of a top-level key, as it stands in the text. */
  static String raw(String json, String key) {
    try (JsonParser parser = FACTORY.createParser(json)) {
      parser.nextToken();
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String name = parser.currentName();
        parser.nextToken();
        int start = (int) parser.currentTokenLocation().getCharOffset();
        parser.skipChildren();
        parser.finishToken();
        int end = (int) parser.currentLocation().getCharOffset();
        if (name.equals(key)) {
          return json.substring(start, end);
        }
      }
      throw new AssertionError("no " + key + " in " + json);
    } catch (IOException e) {
      throw new AssertionError(json, e);
    }
  }

  private static void shape(JsonParser parser, String path, List<String> lines) throws IOException {
    switch (parser.currentToken()) {
      case START_OBJECT -> {
        lines.add(path + ":object");
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
          String key = parser.currentName();
          parser.nextToken();
          shape(parser, path + "." + key, lines);
        }
      }
      case START_ARRAY -> {
        lines.add(path + ":array");
        boolean first = true;
        while (parser.nextToken() != JsonToken.END_ARRAY) {
          if (first) {
            shape(parser, path + "[]", lines);
            first = false;
          } else {
            parser.skipChildren();
          }
        }
      }
      case VALUE_STRING -> lines.add(path + ":string");
      case VALUE_NUMBER_INT -> lines.add(path + ":integer");
      case VALUE_NUMBER_FLOAT -> lines.add(path + ":float");
      case VALUE_TRUE, VALUE_FALSE -> lines.add(path + ":boolean");
      case VALUE_NULL -> lines.add(path + ":null");
      default -> throw new AssertionError(parser.currentToken());
    }
  }

  private static void collect(JsonParser parser, String path, String wanted, List<String> found)
      throws IOException {
    switch (parser.currentToken()) {
      case START_OBJECT -> {
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
          String key = parser.currentName();
          parser.nextToken();
          collect(parser, path.isEmpty() ? key : path + "." + key, wanted, found);
        }
      }
      case START_ARRAY -> {
        while (parser.nextToken() != JsonToken.END_ARRAY) {
          collect(parser, path + "[]", wanted, found);
        }
      }
      default -> {
        if (path.equals(wanted)) {
          found.add(parser.getText());
        }
      }
    }
  }
}
