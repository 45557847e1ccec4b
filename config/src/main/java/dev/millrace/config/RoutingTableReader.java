package dev.millrace.config;

import static dev.millrace.config.Complaints.quote;

import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * The keys of a routing table, top to bottom. Optional keys fall back to the defaults of the
 * records; a value that cannot be read does too, after its complaint, so that the rest is checked.
 */
final class RoutingTableReader {
  private final Path file;
  private final Complaints complaints;

  RoutingTableReader(Path file, Complaints complaints) {
    this.file = file;
    this.complaints = complaints;
  }

  Loaded read(Field root) {
    Optional<Section> top = root.section();
    if (top.isEmpty()) {
      return complaints.invalid();
    }
    Listen listen = top.get().part("listen", Listen.defaults(), this::listen);
    Admin admin = top.get().part("admin", Admin.defaults(), RoutingTableReader::admin);
    refuseSameAddress(top.get(), listen, admin);
    PoolsReader pools = new PoolsReader(file, complaints);
    pools.read(top.get());
    AgentsReader agents = new AgentsReader(file);
    agents.read(top.get());
    List<Route> routes = new RoutesReader(pools, agents.listed()).read(top.get());
    top.get().refuseOtherKeys();
    return complaints.none()
        ? new Loaded.Valid(
            RoutingTable.of(listen, admin, pools.complete(), agents.complete(), routes))
        : complaints.invalid();
  }

  private Listen listen(Section listen) {
    Listen defaults = Listen.defaults();
    return new Listen(
        listen.find("host").flatMap(Field::host).orElse(defaults.host()),
        listen.integer("port", 0, 65535, defaults.port()),
        listen
            .find("max-body")
            .flatMap(size -> size.bytes(Listen.LEAST_MAX_BODY_BYTES, Listen.MOST_MAX_BODY_BYTES))
            .orElse(defaults.maxBodyBytes()),
        listen
            .find("event-loops")
            .flatMap(loops -> loops.integer(1, Listen.MOST_EVENT_LOOPS))
            .orElse(defaults.eventLoops()),
        listen.duration("shutdown-grace", defaults.shutdownGrace()),
        listen.find("keys-file").flatMap(field -> field.path(file)),
        listen.part("tls", Optional.empty(), tls -> TlsReader.read(tls, file)),
        listen.part("cors", Optional.empty(), RoutingTableReader::cors));
  }

  private static Optional<Cors> cors(Section cors) {
    Set<String> origins = new LinkedHashSet<>();
    cors.require("origins", "a list such as [https://app.example.com], or [\"*\"]")
        .flatMap(Field::items)
        .ifPresent(items ->
            items.forEach(
                item -> item.text().flatMap(text -> origin(item, text)).ifPresent(origins::add)));
    return origins.isEmpty() ? Optional.empty() : Optional.of(new Cors(origins));
  }

  private static Optional<String> origin(Field field, String text) {
    return Cors.ORIGIN.matcher(text).matches()
        ? Optional.of(text)
        : field.refuse(
            "%s is not an origin; write scheme://host or scheme://host:port in lower case, nothing"
                    .formatted(quote(text))
                + " behind it, or \"*\" for any");
  }

  private static Admin admin(Section admin) {
    Admin defaults = Admin.defaults();
    return new Admin(
        admin.find("host").flatMap(Field::host).orElse(defaults.host()),
        admin.integer("port", 0, 65535, defaults.port()));
  }

  private static void refuseSameAddress(Section top, Listen listen, Admin admin) {
    if (admin.port() != 0 && admin.port() == listen.port() && admin.host().equals(listen.host())) {
      top.find("admin")
          .or(() -> top.find("listen"))
          .ifPresent(field ->
              field.complain(
                  "listen and admin cannot share %s:%d".formatted(admin.host(), admin.port())));
    }
  }
}
