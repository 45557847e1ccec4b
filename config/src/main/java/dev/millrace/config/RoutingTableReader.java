package dev.millrace.config;

import static dev.millrace.config.Complaints.quote;

import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;

/**
 * The keys of a routing table, top to bottom. Optional keys fall back to the defaults of the
 * records; a value that cannot be read does too, after its complaint, so that the rest is checked.
 */
final class RoutingTableReader {
  /** Names of pools appear in metrics and in paths of the admin port. */
  private static final Pattern POOL_NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,62}");

  private static final Set<String> PLANNED_TRANSFERS = Set.of("bridge", "relay", "auto");

  private final Complaints complaints;

  /** What of each pool could be read; routes are checked against it. */
  private final Map<String, PoolDraft> pools = new LinkedHashMap<>();

  /** Where each worker address and side channel was listed first, by model and address. */
  private final Map<String, Field> listed = new HashMap<>();

  private final Map<String, Field> routedModels = new HashMap<>();

  RoutingTableReader(Complaints complaints) {
    this.complaints = complaints;
  }

  /** A pool whose role or model may be unreadable: routes that name it are not blamed for that. */
  private record PoolDraft(Optional<Role> role, Optional<String> model, Optional<Pool> pool) {}

  Loaded read(Field root) {
    Optional<Section> top = root.section();
    if (top.isEmpty()) {
      return complaints.invalid();
    }
    Listen listen = listen(top.get());
    Admin admin = admin(top.get());
    refuseSameAddress(top.get(), listen, admin);
    boolean poolsAreKnown = readPools(top.get());
    List<Route> routes = routes(top.get(), poolsAreKnown);
    top.get().refuseOtherKeys();
    if (!complaints.none()) {
      return complaints.invalid();
    }
    List<Pool> complete = pools.values().stream().flatMap(draft -> draft.pool().stream()).toList();
    return new Loaded.Valid(RoutingTable.of(listen, admin, complete, routes));
  }

  private static Listen listen(Section top) {
    Listen defaults = Listen.defaults();
    Optional<Section> section = top.find("listen").flatMap(Field::section);
    if (section.isEmpty()) {
      return defaults;
    }
    Section listen = section.get();
    Listen read =
        new Listen(
            listen.find("host").flatMap(Field::host).orElse(defaults.host()),
            listen.find("port").flatMap(port -> port.integer(0, 65535)).orElse(defaults.port()),
            listen
                .find("max-body")
                .flatMap(
                    size -> size.bytes(Listen.LEAST_MAX_BODY_BYTES, Listen.MOST_MAX_BODY_BYTES))
                .orElse(defaults.maxBodyBytes()),
            listen
                .find("event-loops")
                .flatMap(loops -> loops.integer(1, Listen.MOST_EVENT_LOOPS))
                .orElse(defaults.eventLoops()));
    listen.refuseOtherKeys();
    return read;
  }

  private static Admin admin(Section top) {
    Admin defaults = Admin.defaults();
    Optional<Section> section = top.find("admin").flatMap(Field::section);
    if (section.isEmpty()) {
      return defaults;
    }
    Section admin = section.get();
    Admin read =
        new Admin(
            admin.find("host").flatMap(Field::host).orElse(defaults.host()),
            admin.find("port").flatMap(port -> port.integer(0, 65535)).orElse(defaults.port()));
    admin.refuseOtherKeys();
    return read;
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

  private boolean readPools(Section top) {
    Optional<Section> section =
        top.require("pools", "the workers, by pool").flatMap(Field::section);
    if (section.isEmpty()) {
      return false;
    }
    section
        .get()
        .entries()
        .forEach((name, field) -> {
          if (!POOL_NAME.matcher(name).matches()) {
            complaints.add(
                section.get().key(name),
                field.path(),
                "is not a name for a pool; use up to 63 letters, digits, '.', '_' and '-'");
          }
          pools.put(name, pool(name, field));
        });
    return true;
  }

  private PoolDraft pool(String name, Field field) {
    Optional<Section> section = field.section();
    if (section.isEmpty()) {
      return new PoolDraft(Optional.empty(), Optional.empty(), Optional.empty());
    }
    Section pool = section.get();
    Optional<Role> role =
        pool.require("role", "prefill or decode").flatMap(value -> value.choice(Role.values()));
    Optional<String> model =
        pool.require("model", "the model name that clients send").flatMap(Field::text);
    Optional<EngineKind> engine =
        pool.require("engine", "vllm or millrace-sim")
            .flatMap(value -> value.choice(EngineKind.values()));
    List<WorkerAddress> workers = new ArrayList<>();
    pool.require("workers", "a list of {url, side-channel}")
        .flatMap(Field::items)
        .orElse(List.of())
        .forEach(item -> worker(item, model).ifPresent(workers::add));
    pool.refuseOtherKeys();
    boolean complete =
        !name.isBlank()
            && role.isPresent()
            && model.isPresent()
            && engine.isPresent()
            && !workers.isEmpty();
    Optional<Pool> read =
        complete
            ? Optional.of(new Pool(name, role.get(), model.get(), engine.get(), workers))
            : Optional.empty();
    return new PoolDraft(role, model, read);
  }

  /** A worker of a pool; empty if it cannot be read or its address is listed already. */
  private Optional<WorkerAddress> worker(Field item, Optional<String> model) {
    Optional<Section> section = item.section();
    if (section.isEmpty()) {
      return Optional.empty();
    }
    Section worker = section.get();
    Optional<Field> url = worker.require("url", "such as http://10.0.0.4:8000");
    Optional<Field> sideChannel = worker.find("side-channel");
    worker.refuseOtherKeys();
    Optional<URI> address = url.flatMap(Field::workerUrl);
    Optional<HostPort> channel = sideChannel.flatMap(Field::hostPort);
    if (address.isEmpty()) {
      return Optional.empty();
    }
    WorkerAddress read = new WorkerAddress(address.get(), channel);
    // Pools of different models may share workers, as those of LoRA adapters do.
    String scope = model.orElse("") + " ";
    boolean isNew = isFirst(scope + read.url(), url.get(), read.url().toString());
    if (channel.isPresent()) {
      isNew &= isFirst(scope + channel.get(), sideChannel.get(), channel.get().toString());
    }
    return isNew ? Optional.of(read) : Optional.empty();
  }

  private boolean isFirst(String key, Field field, String shown) {
    Field first = listed.putIfAbsent(key, field);
    if (first != null) {
      field.complain(
          "%s is listed already, as %s on line %d"
              .formatted(quote(shown), first.path(), Place.of(first.node()).line()));
    }
    return first == null;
  }

  private List<Route> routes(Section top, boolean poolsAreKnown) {
    List<Route> read = new ArrayList<>();
    top.require("routes", "a list of {match, prefill, decode}")
        .flatMap(Field::items)
        .orElse(List.of())
        .forEach(item -> route(item, poolsAreKnown).ifPresent(read::add));
    return read;
  }

  private Optional<Route> route(Field item, boolean poolsAreKnown) {
    Optional<Section> section = item.section();
    if (section.isEmpty()) {
      return Optional.empty();
    }
    Section route = section.get();
    Optional<String> model = model(route);
    Optional<Stage> prefill = stage(route, Role.PREFILL, model, poolsAreKnown);
    Optional<Stage> decode = stage(route, Role.DECODE, model, poolsAreKnown);
    Transfer transfer =
        route.find("transfer").flatMap(RoutingTableReader::transfer).orElse(Transfer.ENGINE);
    Deadlines deadlines = deadlines(route);
    Retries retries = retries(route);
    route.refuseOtherKeys();
    return model.isPresent() && prefill.isPresent() && decode.isPresent()
        ? Optional.of(
            new Route(model.get(), prefill.get(), decode.get(), transfer, deadlines, retries))
        : Optional.empty();
  }

  private Optional<String> model(Section route) {
    Optional<Section> section = route.require("match", "{model: NAME}").flatMap(Field::section);
    if (section.isEmpty()) {
      return Optional.empty();
    }
    Section match = section.get();
    Optional<Field> field = match.require("model", "the model name that clients send");
    match.refuseOtherKeys();
    Optional<String> model = field.flatMap(Field::text);
    if (model.isPresent()) {
      Field first = routedModels.putIfAbsent(model.get(), field.get());
      if (first != null) {
        field
            .get()
            .complain(
                "%s is matched already on line %d; this route would never be taken"
                    .formatted(quote(model.get()), Place.of(first.node()).line()));
        return Optional.empty();
      }
    }
    return model;
  }

  private Optional<Stage> stage(
      Section route, Role role, Optional<String> model, boolean poolsAreKnown) {
    Optional<Section> section =
        route.require(role.keyword(), "{pool: NAME}").flatMap(Field::section);
    if (section.isEmpty()) {
      return Optional.empty();
    }
    Section stage = section.get();
    Optional<Field> field = stage.require("pool", "the name of a " + role.keyword() + " pool");
    Policy policy =
        stage
            .find("policy")
            .flatMap(value -> value.choice(Policy.values()))
            .orElse(Policy.ROUND_ROBIN);
    stage.refuseOtherKeys();
    Optional<String> pool = field.flatMap(Field::text);
    if (pool.isPresent() && poolsAreKnown && !fits(field.get(), pool.get(), role, model)) {
      return Optional.empty();
    }
    return pool.map(name -> new Stage(name, policy));
  }

  private boolean fits(Field field, String name, Role role, Optional<String> model) {
    PoolDraft pool = pools.get(name);
    if (pool == null) {
      String known =
          pools.isEmpty() ? "there are none" : String.join(", ", new TreeSet<>(pools.keySet()));
      field.complain(
          "there is no pool %s; known: %s%s"
              .formatted(quote(name), known, Nearest.hint(name, pools.keySet())));
      return false;
    }
    if (pool.role().isPresent() && pool.role().get() != role) {
      field.complain(
          "pool %s has role %s, this stage needs %s"
              .formatted(quote(name), pool.role().get().keyword(), role.keyword()));
      return false;
    }
    if (pool.model().isPresent() && model.isPresent() && !pool.model().equals(model)) {
      field.complain(
          "pool %s serves model %s, this route matches %s"
              .formatted(quote(name), quote(pool.model().get()), quote(model.get())));
      return false;
    }
    return true;
  }

  private static Optional<Transfer> transfer(Field field) {
    Optional<String> text = field.text();
    if (text.isPresent() && PLANNED_TRANSFERS.contains(text.get())) {
      return field.refuse("%s is not available yet; use engine".formatted(quote(text.get())));
    }
    return text.isPresent() ? field.choice(Transfer.values()) : Optional.empty();
  }

  private static Deadlines deadlines(Section route) {
    Deadlines defaults = Deadlines.defaults();
    Optional<Section> section = route.find("deadlines").flatMap(Field::section);
    if (section.isEmpty()) {
      return defaults;
    }
    Section deadlines = section.get();
    Deadlines read =
        new Deadlines(
            duration(deadlines, "prefill", defaults.prefill()),
            duration(deadlines, "first-token", defaults.firstToken()),
            duration(deadlines, "stream-idle", defaults.streamIdle()),
            duration(deadlines, "total", defaults.total()));
    deadlines.refuseOtherKeys();
    return read;
  }

  private static Duration duration(Section section, String key, Duration otherwise) {
    return section.find(key).flatMap(Field::duration).orElse(otherwise);
  }

  private static Retries retries(Section route) {
    Retries defaults = Retries.defaults();
    Optional<Section> section = route.find("retries").flatMap(Field::section);
    if (section.isEmpty()) {
      return defaults;
    }
    Section retries = section.get();
    Retries read =
        new Retries(
            count(retries, "prefill", defaults.prefill()),
            count(retries, "decode", defaults.decode()));
    retries.refuseOtherKeys();
    return read;
  }

  private static int count(Section section, String key, int otherwise) {
    return section.find(key).flatMap(value -> value.integer(0, Retries.MOST)).orElse(otherwise);
  }
}
