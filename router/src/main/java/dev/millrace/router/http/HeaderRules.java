package dev.millrace.router.http;

import io.vertx.core.MultiMap;
import io.vertx.core.http.HttpHeaders;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Which headers pass through the router.
 *
 * <p>Held back in both directions: what belongs to one connection (RFC 9110 §7.6.1), and what the
 * router sets itself. Towards engines also what belongs between a router and its engines
 * (data-parallel rank, bootstrap rooms), and {@code Accept-Encoding}: an answer that the router
 * must look into has to come uncompressed. Towards clients also which web pages may read an answer:
 * that is for the public port to say ({@link CrossOrigin}).
 */
public final class HeaderRules {
  private HeaderRules() {}

  /** Copies a client's headers to a leg. */
  public static void copyToEngine(MultiMap from, MultiMap to) {
    List<String> named = namedByConnection(from);
    from.forEach((name, value) -> {
      if (passesToEngine(name) && (named.isEmpty() || !isNamed(named, name))) {
        to.add(name, value);
      }
    });
  }

  /** Copies an engine's headers to the client's answer. */
  public static void copyToClient(MultiMap from, MultiMap to) {
    List<String> named = namedByConnection(from);
    from.forEach((name, value) -> {
      if (passesToClient(name) && (named.isEmpty() || !isNamed(named, name))) {
        to.add(name, value);
      }
    });
  }

  static boolean passesToEngine(String name) {
    return switch (name.length()) {
          case 4 -> !name.equalsIgnoreCase("host");
          case 6 -> !name.equalsIgnoreCase("expect");
          case 12 -> !name.equalsIgnoreCase(RequestId.HEADER);
          case 15 -> !name.equalsIgnoreCase("accept-encoding");
          default -> !isOfOneConnection(name);
        }
        && !startsWith(name, "x-data-parallel-")
        && !startsWith(name, "x-bootstrap-")
        && !startsWith(name, "x-prefiller-");
  }

  static boolean passesToClient(String name) {
    return name.length() == 12
        ? !name.equalsIgnoreCase(RequestId.HEADER)
        : !isOfOneConnection(name) && !startsWith(name, "access-control-");
  }

  /** Lengths first: most names differ from all of these by it. */
  private static boolean isOfOneConnection(String name) {
    return switch (name.length()) {
      case 2 -> name.equalsIgnoreCase("te");
      case 7 -> name.equalsIgnoreCase("trailer") || name.equalsIgnoreCase("upgrade");
      case 10 -> name.equalsIgnoreCase("connection") || name.equalsIgnoreCase("keep-alive");
      case 14 -> name.equalsIgnoreCase("content-length");
      case 16 -> name.equalsIgnoreCase("proxy-connection");
      case 17 -> name.equalsIgnoreCase("transfer-encoding");
      case 18 -> name.equalsIgnoreCase("proxy-authenticate");
      case 19 -> name.equalsIgnoreCase("proxy-authorization");
      default -> false;
    };
  }

  private static boolean startsWith(String name, String prefix) {
    return name.regionMatches(true, 0, prefix, 0, prefix.length());
  }

  /** Headers that a sender declares to be of its connection, beside the usual ones. */
  private static List<String> namedByConnection(MultiMap headers) {
    @Nullable String connection = headers.get(HttpHeaders.CONNECTION);
    if (connection == null
        || connection.equalsIgnoreCase("keep-alive")
        || connection.equalsIgnoreCase("close")) {
      return List.of();
    }
    List<String> names = new ArrayList<>();
    for (String all : headers.getAll(HttpHeaders.CONNECTION)) {
      int from = 0;
      while (from <= all.length()) {
        int comma = all.indexOf(',', from);
        int to = comma < 0 ? all.length() : comma;
        names.add(all.substring(from, to).trim().toLowerCase(Locale.ROOT));
        from = to + 1;
      }
    }
    return names;
  }

  private static boolean isNamed(List<String> named, String name) {
    return named.contains(name.toLowerCase(Locale.ROOT));
  }
}
