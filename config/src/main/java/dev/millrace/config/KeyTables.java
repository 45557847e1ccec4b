package dev.millrace.config;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Described keys as the tables of the documentation. A page says where it wants one, and what
 * stands there is replaced:
 *
 * <pre>
 * &lt;!-- keys: listen --&gt;
 * &lt;!-- end of keys --&gt;
 * </pre>
 */
public final class KeyTables {
  private static final Pattern TABLE =
      Pattern.compile("(<!-- keys: ([a-z-]+) -->\n).*?(<!-- end of keys -->)", Pattern.DOTALL);

  /** The tables that pages may want. */
  static final Map<String, List<Key>> TABLES = new LinkedHashMap<>();

  static {
    TABLES.put("table", RoutingTableKeys.TABLE);
    TABLES.put("listen", RoutingTableKeys.LISTEN);
    TABLES.put("keys", KeysFileKeys.KEY);
    TABLES.put("tokens", KeysFileKeys.TOKENS);
    TABLES.put("admin", RoutingTableKeys.ADMIN);
    TABLES.put("pools", RoutingTableKeys.POOL);
    TABLES.put("declared", DeclaredKeys.DECLARED);
    TABLES.put("agents", RoutingTableKeys.AGENT);
    TABLES.put("routes", RoutingTableKeys.ROUTE);
    TABLES.put("agent", AgentKeys.AGENT);
  }

  private KeyTables() {}

  /**
   * A page with its tables as they should be.
   *
   * @throws IllegalArgumentException if it wants a table that there is not
   */
  public static String rewritten(String page) {
    return TABLE.matcher(page).replaceAll(KeyTables::table);
  }

  private static String table(MatchResult place) {
    List<Key> keys = TABLES.get(place.group(2));
    if (keys == null) {
      throw new IllegalArgumentException(
          "there is no table \"%s\"; known: %s"
              .formatted(place.group(2), String.join(", ", TABLES.keySet())));
    }
    StringBuilder rows = new StringBuilder("| key | value | default | |\n|---|---|---|---|\n");
    addRows(rows, "", keys);
    return Matcher.quoteReplacement(place.group(1) + rows + place.group(3));
  }

  private static void addRows(StringBuilder rows, String path, List<Key> keys) {
    for (Key key : keys) {
      String name = path + key.name();
      rows.append(
          "| `%s` | %s | %s | %s |\n"
              .formatted(name, words(key.value()), words(key.absence()), key.meaning()));
      addRowsBelow(rows, name, key.value());
    }
  }

  private static void addRowsBelow(StringBuilder rows, String path, Value value) {
    switch (value) {
      case Value.Group group -> addRows(rows, path + ".", group.own());
      case Value.ListOf(Value each, _) -> addRowsBelow(rows, path + "[]", each);
      case Value.Named(Pattern _, Value each) -> addRowsBelow(rows, path + ".*", each);
      case Value.Word _,
          Value.Form _,
          Value.Whole _,
          Value.Choice _,
          Value.Flag _,
          Value.Foreign _ -> {}
    }
  }

  private static String words(Absence absence) {
    return switch (absence) {
      case Absence.Mistake() -> "required";
      case Absence.Default(Object value) -> "`%s`".formatted(value);
      case Absence.Otherwise(String words) -> words;
    };
  }

  private static String words(Value value) {
    return switch (value) {
      case Value.Word(String what, Pattern _) -> what;
      case Value.Form(String what, Pattern _) -> what;
      case Value.Whole(long least, long most) -> "%d to %d".formatted(least, most);
      case Value.Choice choice -> "`%s`".formatted(String.join("`, `", choice.words()));
      case Value.Flag() -> "`true`, `false`";
      case Value.Foreign() -> "object";
      case Value.ListOf(Value each, _) -> "list: " + words(each);
      case Value.Named(Pattern _, Value each) -> "by name: " + words(each);
      case Value.Group _ -> "mapping";
    };
  }
}
