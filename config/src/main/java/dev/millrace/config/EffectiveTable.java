package dev.millrace.config;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * A routing table as it holds: its own keys in its own words, defaults filled in, secrets masked.
 * It can be read as a table again. What has no default and was not said is not there.
 */
public final class EffectiveTable {
  private EffectiveTable() {}

  /** The table as maps, lists, strings, numbers and booleans. */
  public static Map<String, Object> of(RoutingTable table) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("listen", listen(table.listen()));
    json.put("admin", admin(table.admin()));
    Map<String, Object> pools = new LinkedHashMap<>();
    table.pools().forEach((name, pool) -> pools.put(name, pool(pool)));
    json.put("pools", pools);
    if (!table.agents().isEmpty()) {
      json.put("agents", table.agents().stream().map(EffectiveTable::agent).toList());
    }
    json.put("routes", table.routes().stream().map(EffectiveTable::route).toList());
    return json;
  }

  /**
   * The same, and at {@code members} of each pool, which is no key of a table, all workers that it
   * has now, with who says so of each.
   */
  public static Map<String, Object> withMembers(RoutingTable table) {
    Map<String, Object> json = of(table);
    Map<String, Object> pools = new LinkedHashMap<>();
    table
        .pools()
        .forEach((name, pool) -> {
          Map<String, Object> shown = pool(pool);
          shown.put("members", pool.workers().stream().map(EffectiveTable::member).toList());
          pools.put(name, shown);
        });
    json.put("pools", pools);
    return json;
  }

  private static Map<String, Object> member(WorkerAddress worker) {
    Map<String, Object> json = worker(worker);
    json.put("source", worker.source().keyword());
    return json;
  }

  private static Map<String, Object> listen(Listen listen) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("host", listen.host());
    json.put("port", listen.port());
    json.put("max-body", Quantities.text(listen.maxBodyBytes()));
    json.put("event-loops", listen.eventLoops());
    json.put("shutdown-grace", Quantities.text(listen.shutdownGrace()));
    listen.keysFile().ifPresent(file -> json.put("keys-file", shown(file)));
    listen.tls().ifPresent(tls -> json.put("tls", tls(tls)));
    listen
        .cors()
        .ifPresent(
            cors -> json.put("cors", Map.of("origins", cors.origins().stream().sorted().toList())));
    return json;
  }

  private static Map<String, Object> admin(Admin admin) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("host", admin.host());
    json.put("port", admin.port());
    return json;
  }

  private static Map<String, Object> pool(Pool pool) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("role", pool.role().keyword());
    json.put("model", pool.model());
    json.put("engine", pool.engine().keyword());
    json.put("health", health(pool.health()));
    if (pool.role() != Role.PREFILL) {
      json.put("kv-percent", pool.kvPercent());
    }
    json.putAll(DeclaredValues.of(pool.declared()));
    if (!pool.upstream().equals(Upstream.defaults())) {
      json.put("upstream", upstream(pool.upstream()));
    }
    List<Map<String, Object>> listed =
        pool.workers().stream()
            .filter(worker -> worker.source() == WorkerSource.STATIC)
            .map(EffectiveTable::worker)
            .toList();
    if (!listed.isEmpty() || (pool.workersFile().isEmpty() && pool.workersDns().isEmpty())) {
      json.put("workers", listed);
    }
    pool.workersFile().ifPresent(file -> json.put("workers-file", shown(file)));
    pool.workersDns().ifPresent(dns -> json.put("workers-dns", question(dns)));
    return json;
  }

  private static Map<String, Object> bypass(Bypass bypass) {
    Map<String, Object> json = new LinkedHashMap<>();
    if (bypass.promptBytesBelow() > 0) {
      json.put("prompt-bytes-below", Quantities.text(bypass.promptBytesBelow()));
    }
    json.put("break-even", bypass.breakEven());
    return json;
  }

  private static Map<String, Object> health(Health health) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("consecutive-failures", health.consecutiveFailures());
    json.put("failure-percent", health.failurePercent());
    json.put("failure-legs", health.failureLegs());
    json.put("ejection-time", Quantities.text(health.ejectionTime()));
    json.put("max-ejection-time", Quantities.text(health.maxEjectionTime()));
    json.put("max-ejection-percent", health.maxEjectionPercent());
    return json;
  }

  private static Map<String, Object> upstream(Upstream upstream) {
    Map<String, Object> json = new LinkedHashMap<>();
    upstream.tokenFile().ifPresent(file -> json.put("token-file", shown(file)));
    Map<String, Object> tls = new LinkedHashMap<>();
    upstream.authorities().ifPresent(file -> tls.put("authorities", shown(file)));
    upstream.own().ifPresent(own -> tls.putAll(tls(own)));
    if (!tls.isEmpty()) {
      json.put("tls", tls);
    }
    return json;
  }

  private static Map<String, Object> tls(Tls tls) {
    return Map.of("certificate", shown(tls.certificate()), "key", shown(tls.key()));
  }

  private static Map<String, Object> worker(WorkerAddress worker) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("url", worker.url().toString());
    worker.sideChannel().ifPresent(address -> json.put("side-channel", address.toString()));
    json.put("data-parallel-size", worker.dataParallel());
    json.putAll(DeclaredValues.of(worker.declared()));
    if (!worker.labels().isEmpty()) {
      json.put("labels", new TreeMap<>(worker.labels()));
    }
    return json;
  }

  private static Map<String, Object> question(WorkersDns dns) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("name", dns.name());
    json.put("type", dns.type().keyword());
    dns.port().ifPresent(port -> json.put("port", port));
    json.put("scheme", dns.scheme().keyword());
    json.put("every", Quantities.text(dns.every()));
    dns.server().ifPresent(server -> json.put("server", server.toString()));
    dns.sideChannelPort().ifPresent(port -> json.put("side-channel-port", port));
    json.put("data-parallel-size", dns.dataParallel());
    if (!dns.labels().isEmpty()) {
      json.put("labels", new TreeMap<>(dns.labels()));
    }
    return json;
  }

  private static Map<String, Object> agent(AgentAddress agent) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("url", agent.url().toString());
    json.put("token-file", shown(agent.tokenFile()));
    return json;
  }

  private static Map<String, Object> route(Route route) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("name", route.name());
    json.put("match", match(route.match()));
    route.servedModelName().ifPresent(served -> json.put("served-model-name", served));
    route.prefill().ifPresent(stage -> json.put("prefill", stage(stage)));
    json.put("decode", stage(route.decode()));
    route.split().ifPresent(split -> json.put("split", split(split)));
    route.fallback().ifPresent(name -> json.put("fallback", name));
    if (!route.bypass().equals(Bypass.none())) {
      json.put("bypass", bypass(route.bypass()));
    }
    Pairing pairing = route.pairing();
    json.put("transfer", pairing.transfer().keyword());
    json.put("verify", pairing.verify().keyword());
    json.put("canary", pairing.canary().keyword());
    json.put("on-mismatch", pairing.onMismatch().keyword());
    json.put("on-recompute", pairing.onRecompute().keyword());
    Map<String, Object> deadlines = new LinkedHashMap<>();
    deadlines.put("prefill", Quantities.text(route.deadlines().prefill()));
    deadlines.put("first-token", Quantities.text(route.deadlines().firstToken()));
    deadlines.put("stream-idle", Quantities.text(route.deadlines().streamIdle()));
    deadlines.put("total", Quantities.text(route.deadlines().total()));
    json.put("deadlines", deadlines);
    Map<String, Object> retries = new LinkedHashMap<>();
    retries.put("prefill", route.retries().prefill());
    retries.put("decode", route.retries().decode());
    retries.put("budget-percent", route.retries().budgetPercent());
    json.put("retries", retries);
    Map<String, Object> limits = new LinkedHashMap<>();
    limits.put("concurrent", route.limits().concurrent());
    limits.put("waiting", route.limits().waiting());
    limits.put("wait", Quantities.text(route.limits().patience()));
    route.limits().requestsPerMinute().ifPresent(most -> limits.put("requests-per-minute", most));
    route.limits().tokensPerMinute().ifPresent(most -> limits.put("tokens-per-minute", most));
    json.put("limits", limits);
    return json;
  }

  private static Map<String, Object> match(Match match) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("model", match.model().text());
    if (!match.paths().isEmpty()) {
      json.put("paths", List.copyOf(match.paths()));
    }
    if (!match.headers().isEmpty()) {
      json.put("headers", match.headers());
    }
    return json;
  }

  private static Map<String, Object> split(Split split) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("weight", split.weight());
    split.session().ifPresent(key -> json.put("session", session(key)));
    json.put("branches", split.branches().stream().map(EffectiveTable::branch).toList());
    return json;
  }

  private static Map<String, Object> branch(Branch branch) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("name", branch.name());
    json.put("weight", branch.weight());
    branch.servedModelName().ifPresent(served -> json.put("served-model-name", served));
    branch.prefill().ifPresent(stage -> json.put("prefill", stage(stage)));
    json.put("decode", stage(branch.decode()));
    return json;
  }

  private static Map<String, Object> stage(Stage stage) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("pool", stage.pool());
    json.put("policy", stage.policy().keyword());
    stage.session().ifPresent(key -> json.put("session", session(key)));
    stage.preferSame().ifPresent(label -> json.put("prefer-same", label));
    if (stage.bounds()) {
      json.put("balance-percent", stage.balancePercent());
    }
    return json;
  }

  private static Map<String, String> session(SessionKey key) {
    return switch (key) {
      case SessionKey.Header(String name) -> Map.of("header", name);
      case SessionKey.BodyField(String name) -> Map.of("field", name);
    };
  }

  /** A file by where it is; of one that holds secrets not what is in it. */
  private static String shown(Path file) {
    return file.toAbsolutePath().normalize().toString();
  }
}
