package dev.millrace.config;

import static dev.millrace.config.Complaints.quote;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** The pools of a routing table, and whether a stage may name one of them. */
final class PoolsReader {
  /** Names of pools and labels appear in metrics and in paths of the admin port. */
  static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,62}");

  private final Path table;
  private final Complaints complaints;
  private final WorkersReader workers;

  /** What of each pool could be read; routes are checked against it. */
  private final Map<String, PoolDraft> pools = new LinkedHashMap<>();

  /** Whether there is a mapping of pools at all, so that unknown names are the routes' mistake. */
  private boolean known;

  PoolsReader(Path table, Complaints complaints) {
    this.table = table;
    this.complaints = complaints;
    this.workers = new WorkersReader(table);
  }

  /** A pool whose role or model may be unreadable: routes that name it are not blamed for that. */
  private record PoolDraft(Optional<Role> role, Optional<String> model, Optional<Pool> pool) {}

  void read(Section top) {
    Optional<Section> section =
        top.require("pools", "the workers, by pool").flatMap(Field::section);
    if (section.isEmpty()) {
      return;
    }
    known = true;
    section
        .get()
        .entries()
        .forEach((name, field) -> {
          requireName(section.get(), name, field, "a pool");
          pools.put(name, pool(name, field));
        });
  }

  /** The pools that could be read whole, in the order of the file. */
  List<Pool> complete() {
    return pools.values().stream().flatMap(draft -> draft.pool().stream()).toList();
  }

  /**
   * Whether a stage may name a pool; complains if not. Nothing is said of what could not be read.
   */
  boolean serves(
      Field field, String name, Role role, Optional<ModelPattern> asked, boolean disaggregated) {
    return !known || fits(field, name, role, asked, disaggregated);
  }

  /** Complains of a decode pool whose engines cannot take over what the prefill pool computes. */
  void requireSameModel(Field field, String decode, String prefill) {
    Optional<String> own = model(decode);
    Optional<String> other = model(prefill);
    if (own.isPresent() && other.isPresent() && !own.equals(other)) {
      field.complain(
          "pool %s serves model %s, the prefill pool %s serves %s; both stages need the same"
              .formatted(quote(decode), quote(own.get()), quote(prefill), quote(other.get())));
    }
  }

  private Optional<String> model(String name) {
    return Optional.ofNullable(pools.get(name)).flatMap(PoolDraft::model);
  }

  /** The labels of a pool's workers; empty if the pool could not be read, or has none yet. */
  Optional<Set<String>> labels(String name) {
    return Optional.ofNullable(pools.get(name))
        .flatMap(PoolDraft::pool)
        .filter(pool -> !pool.workers().isEmpty() || pool.workersDns().isPresent())
        .map(pool ->
            Stream.concat(
                    pool.workers().stream().map(WorkerAddress::labels),
                    pool.workersDns().stream().map(WorkersDns::labels))
                .flatMap(labels -> labels.keySet().stream())
                .collect(Collectors.toCollection(TreeSet::new)));
  }

  private PoolDraft pool(String name, Field field) {
    Optional<Section> section = field.section();
    if (section.isEmpty()) {
      return new PoolDraft(Optional.empty(), Optional.empty(), Optional.empty());
    }
    Section pool = section.get();
    Optional<Role> role =
        pool.require("role", "prefill, decode or both")
            .flatMap(value -> value.choice(Role.values()));
    Optional<String> model =
        pool.require("model", "the model name that clients send").flatMap(Field::text);
    Optional<EngineKind> engine =
        pool.require("engine", "vllm or millrace-sim")
            .flatMap(value -> value.choice(EngineKind.values()));
    Optional<Path> file = workers.file(pool);
    Optional<Field> dns = pool.find("workers-dns");
    Optional<Field> list =
        pool.find("workers-file").isPresent() || dns.isPresent()
            ? pool.find("workers")
            : pool.require(
                "workers",
                "a list of {url, side-channel, data-parallel-size, labels}, or name a workers-file or workers-dns");
    List<WorkerAddress> members = new ArrayList<>();
    list.ifPresent(listed -> members.addAll(workers.listed(listed, model)));
    file.ifPresent(named -> members.addAll(workers.ofFile(named, complaints, model)));
    Optional<WorkersDns> question = dns.flatMap(Field::section).flatMap(WorkersDnsReader::read);
    Declared declared = DeclaredReader.read(pool);
    Upstream upstream = pool.part("upstream", Upstream.defaults(), this::upstream);
    Health health = pool.part("health", Health.defaults(), PoolsReader::health);
    int kvPercent = pool.integer("kv-percent", 1, Pool.MOST_KV_PERCENT, Pool.KV_PERCENT);
    if (role.filter(Role.PREFILL::equals).isPresent()) {
      pool.find("kv-percent")
          .ifPresent(given -> given.complain("is of pools that decode; remove it from this one"));
    }
    pool.refuseOtherKeys();
    boolean complete =
        !name.isBlank() && role.isPresent() && model.isPresent() && engine.isPresent();
    Optional<Pool> read =
        complete
            ? Optional.of(
                new Pool(
                    name,
                    role.get(),
                    model.get(),
                    engine.get(),
                    declared,
                    upstream,
                    health,
                    kvPercent,
                    members,
                    file,
                    question))
            : Optional.empty();
    return new PoolDraft(role, model, read);
  }

  private Upstream upstream(Section upstream) {
    Optional<Path> token = upstream.find("token-file").flatMap(field -> field.path(table));
    Optional<Section> section = upstream.find("tls").flatMap(Field::section);
    if (section.isEmpty()) {
      return new Upstream(token, Optional.empty(), Optional.empty());
    }
    Section tls = section.get();
    Optional<Path> authorities = tls.find("authorities").flatMap(field -> field.path(table));
    Optional<Tls> own =
        tls.find("certificate").isPresent() || tls.find("key").isPresent()
            ? TlsReader.read(tls, table)
            : Optional.empty();
    tls.refuseOtherKeys();
    return new Upstream(token, authorities, own);
  }

  private static Health health(Section health) {
    Health defaults = Health.defaults();
    return new Health(
        health.integer("consecutive-failures", 1, Health.MOST_LEGS, defaults.consecutiveFailures()),
        health.integer("failure-percent", 1, 100, defaults.failurePercent()),
        health.integer("failure-legs", 1, Health.MOST_LEGS, defaults.failureLegs()),
        health.duration("ejection-time", defaults.ejectionTime()),
        health.duration("max-ejection-time", defaults.maxEjectionTime()),
        health.integer("max-ejection-percent", 0, 100, defaults.maxEjectionPercent()));
  }

  static void requireName(Section section, String name, Field field, String of) {
    if (!NAME.matcher(name).matches()) {
      field
          .complaints()
          .add(
              section.key(name),
              field.path(),
              "is not a name for %s; use up to 63 letters, digits, '.', '_' and '-'".formatted(of));
    }
  }

  private boolean fits(
      Field field, String name, Role role, Optional<ModelPattern> asked, boolean disaggregated) {
    PoolDraft pool = pools.get(name);
    if (pool == null) {
      String known =
          pools.isEmpty() ? "there are none" : String.join(", ", new TreeSet<>(pools.keySet()));
      field.complain(
          "there is no pool %s; known: %s%s"
              .formatted(quote(name), known, Nearest.hint(name, pools.keySet())));
      return false;
    }
    boolean doesAll = pool.role().equals(Optional.of(Role.BOTH));
    if (pool.role().isPresent() && pool.role().get() != role && (disaggregated || !doesAll)) {
      field.complain(
          "pool %s has role %s, this stage needs %s%s"
              .formatted(
                  quote(name),
                  pool.role().get().keyword(),
                  role.keyword(),
                  doesAll ? "; such a pool is for routes without prefill" : fitting(role, asked)));
      return false;
    }
    if (pool.model().isPresent() && asked.isPresent() && !asked.get().matches(pool.model().get())) {
      field.complain(
          "pool %s serves model %s, this route asks for %s%s"
              .formatted(
                  quote(name),
                  quote(pool.model().get()),
                  quote(asked.get().text()),
                  fitting(role, asked)));
      return false;
    }
    return true;
  }

  /** The pools that could stand there, worded to end a message. */
  private String fitting(Role role, Optional<ModelPattern> asked) {
    List<String> names =
        pools.entrySet().stream()
            .filter(entry -> entry.getValue().role().equals(Optional.of(role)))
            .filter(entry ->
                asked.isEmpty()
                    || entry.getValue().model().filter(asked.get()::matches).isPresent())
            .map(Map.Entry::getKey)
            .sorted()
            .toList();
    return names.isEmpty()
        ? "; there is no %s pool of this model".formatted(role.keyword())
        : "; pools that fit: " + String.join(", ", names);
  }
}
