package dev.millrace.router;

import dev.millrace.config.AccessKey;
import dev.millrace.config.AccessKeys;
import dev.millrace.config.Complaint;
import dev.millrace.config.Listen;
import dev.millrace.config.Loaded;
import dev.millrace.config.LoadedKeys;
import dev.millrace.config.RoutingTable;
import dev.millrace.config.TokenIssuer;
import dev.millrace.router.access.Keys;
import dev.millrace.router.access.Tokens;
import dev.millrace.router.discover.Members;
import dev.millrace.router.edges.Watch;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Changes over to a routing table that is read anew, or whose pools have got other workers.
 *
 * <p>The next floor is laid while the one in force serves: workers that are new are asked what they
 * are, new pairs judged and tried out. Then it takes over in one step, for every exchange that
 * chooses its workers from then on. A table with mistakes, or with changes that only a start can
 * make, changes nothing. Belongs to the operators' event loop.
 */
final class Reload {
  private static final Logger LOG = LoggerFactory.getLogger(Reload.class);

  /** A worker that is gone must not keep a table from taking over. */
  private static final Duration JUDGED_WITHIN = Duration.ofSeconds(10);

  private final Vertx vertx;
  private final House house;
  private final TableSource source;
  private final Supplier<Watch> watches;
  private final Members members;
  private final Duration idleLimit;

  /** The table as it was read; the one in force has the workers that others know besides. */
  private RoutingTable read;

  private Future<Reloaded> last = Future.succeededFuture(new Reloaded.Unchanged());

  private final Turn reading;
  private final Turn changingMembers;

  /**
   * One for a house.
   *
   * @param read the table that was read for the floor that is in force
   * @param members of its pools
   * @param watches makes another watch over workers
   * @param idleLimit after which the public port closes connections on which nothing moves
   */
  Reload(
      Vertx vertx,
      House house,
      TableSource source,
      RoutingTable read,
      Members members,
      Supplier<Watch> watches,
      Duration idleLimit) {
    this.vertx = vertx;
    this.house = house;
    this.source = source;
    this.read = read;
    this.members = members;
    this.watches = watches;
    this.idleLimit = idleLimit;
    this.reading = new Turn(() -> anew().compose(this::adopt), Reload::log);
    this.changingMembers = new Turn(this::adoptMembers, Reload::logMembers);
  }

  /**
   * Reads the table and changes over. While that goes on for somebody else it is done once more
   * afterwards, for all who have asked meanwhile: what was read then may be older than they are.
   */
  Future<Reloaded> now() {
    return reading.ask();
  }

  /** Changes over to the same table with the workers that its pools have now. */
  Future<Reloaded> membersChanged() {
    return changingMembers.ask();
  }

  /** A change that whoever asks for it before it has begun waits for together. */
  private final class Turn {
    private final Supplier<Future<Reloaded>> change;
    private final Consumer<Reloaded> told;

    /** One that has not begun: whatever it will find is newer than what is asked for now. */
    private @Nullable Future<Reloaded> waiting;

    Turn(Supplier<Future<Reloaded>> change, Consumer<Reloaded> told) {
      this.change = change;
      this.told = told;
    }

    Future<Reloaded> ask() {
      Future<Reloaded> next = waiting;
      if (next != null) {
        return next;
      }
      boolean begins = last.isComplete();
      Future<Reloaded> mine =
          inTurn(
                  () -> {
                    waiting = null;
                    return change.get();
                  })
              .onSuccess(told::accept);
      waiting = begins ? null : mine;
      return mine;
    }
  }

  /** One change after the other: each begins with the floor that the one before has laid. */
  private Future<Reloaded> inTurn(Supplier<Future<Reloaded>> change) {
    last =
        last.compose(ended -> change.get())
            .recover(failure ->
                Future.succeededFuture(
                    new Reloaded.Refused(List.of(String.valueOf(failure.getMessage())))));
    return last;
  }

  private Future<Loaded> anew() {
    return vertx.executeBlocking(source::read).map(Objects::requireNonNull);
  }

  private Future<Reloaded> adoptMembers() {
    return changeTo(members.with(read), house.keys(), house.floor().credentials());
  }

  private Future<Reloaded> adopt(Loaded loaded) {
    return switch (loaded) {
      case Loaded.Invalid(List<Complaint> complaints) ->
          Future.succeededFuture(
              new Reloaded.Refused(complaints.stream().map(Complaint::toString).toList()));
      case Loaded.Valid(RoutingTable table) -> {
        List<String> fixed = onlyByAStart(table);
        yield fixed.isEmpty()
            ? Future.all(
                    keys(vertx, table.listen(), house.keys()),
                    Credentials.read(vertx, table),
                    members.ask(table))
                .compose(
                    known -> changeTo(members.with(table), known.resultAt(0), known.resultAt(1)))
                .onSuccess(changed -> read = table)
                .onComplete(ended -> members.follow(read))
            : Future.succeededFuture(new Reloaded.Refused(fixed));
      }
    };
  }

  /** The keys that a table names, after others. */
  static Future<Keys> keys(Vertx vertx, Listen listen, Keys before) {
    Optional<Path> file = listen.keysFile();
    return file.isEmpty()
        ? Future.succeededFuture(Keys.notAsked())
        : vertx
            .fileSystem()
            .readFile(file.get().toString())
            .compose(content -> keys(vertx, file.get(), content.toString(), before));
  }

  private static Future<Keys> keys(Vertx vertx, Path file, String content, Keys before) {
    return switch (AccessKeys.parse(file.toString(), content)) {
      case LoadedKeys.Valid(List<AccessKey> keys, Optional<TokenIssuer> issuer) ->
          issuer.isEmpty()
              ? Future.succeededFuture(before.then(keys, null))
              : vertx
                  .fileSystem()
                  .readFile(issuer.get().jwksFile().toString())
                  .map(jwks ->
                      before.then(
                          keys,
                          Tokens.of(vertx, issuer.get(), jwks.toString(), InstantSource.system())));
      case LoadedKeys.Invalid(List<Complaint> complaints) ->
          throw new IllegalArgumentException("the keys cannot be read: " + complaints.getFirst());
    };
  }

  private List<String> onlyByAStart(RoutingTable table) {
    Listen now = house.table().listen();
    Listen next = table.listen();
    List<String> fixed = new ArrayList<>();
    if (!next.host().equals(now.host())
        || next.port() != now.port()
        || next.eventLoops() != now.eventLoops()
        || next.tls().isPresent() != now.tls().isPresent()) {
      fixed.add(
          "listen: host, port, event-loops and whether there is tls are those of the start; restart to change them");
    }
    if (!table.admin().equals(house.table().admin())) {
      fixed.add("admin: is that of the start; restart to change it");
    }
    if (!table.agents().equals(house.table().agents())) {
      fixed.add("agents: are those of the start; restart to change them");
    }
    if (longestTotal(table).compareTo(idleLimit) >= 0) {
      fixed.add(
          "deadlines.total: %d s is longer than the longest of the start; restart to change it"
              .formatted(longestTotal(table).toSeconds()));
    }
    return fixed;
  }

  /** How long any exchange may take. */
  static Duration longestTotal(RoutingTable table) {
    return table.routes().stream()
        .map(route -> route.deadlines().total())
        .max(Comparator.naturalOrder())
        .orElse(Duration.ZERO);
  }

  private Future<Reloaded> changeTo(RoutingTable table, Keys keys, Credentials credentials) {
    if (table.equals(house.table())
        && keys.isSameAs(house.keys())
        && credentials.equals(house.floor().credentials())) {
      return Future.succeededFuture(new Reloaded.Unchanged());
    }
    Watch watch = watches.get();
    Floor next =
        Floor.of(
            table,
            watch,
            keys,
            credentials,
            house.gauges.reservations,
            house.nanoClock,
            house.floor());
    watch.inherit(house.watch());
    watch.begin();
    return watch
        .settled()
        .timeout(JUDGED_WITHIN.toMillis(), TimeUnit.MILLISECONDS)
        .transform(judged -> {
          house.changeTo(next);
          return Future.succeededFuture(new Reloaded.Done(watch.pairs()));
        });
  }

  private static void logMembers(Reloaded reloaded) {
    switch (reloaded) {
      case Reloaded.Done(List<String> pairs) ->
          LOG.info("pools have other workers now: {}", String.join("; ", pairs));
      case Reloaded.Unchanged() -> {}
      case Reloaded.Refused(List<String> why) ->
          LOG.warn("pools have other workers, but stay as they are: {}", String.join("; ", why));
    }
  }

  private static void log(Reloaded reloaded) {
    switch (reloaded) {
      case Reloaded.Done(List<String> pairs) ->
          LOG.info("the routing table was read anew and is in force: {}", String.join("; ", pairs));
      case Reloaded.Unchanged() -> LOG.info("the routing table was read anew and is the same");
      case Reloaded.Refused(List<String> why) ->
          LOG.warn(
              "the routing table was read anew; the one in force stays: {}",
              String.join("; ", why));
    }
  }
}
