package dev.millrace.layout.compatibility;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Engines that cannot be told apart: hand-offs of one are looked for at the other, and ranks of
 * both answer as one (vLLM #20965, #23086).
 *
 * @param what they share, an engine id or a side channel
 * @param value of it
 * @param engines their names, at least two
 * @param remedy what to do about it
 */
public record Collision(String what, String value, List<String> engines, String remedy) {
  public Collision {
    engines = List.copyOf(engines);
  }

  /** All collisions among engines; data-parallel ranks are engines of their own. */
  public static List<Collision> among(List<EngineProfile> engines) {
    Map<String, List<String>> ids = new LinkedHashMap<>();
    Map<String, List<String>> channels = new LinkedHashMap<>();
    for (EngineProfile engine : engines) {
      engine.value(Fact.ENGINE_ID).ifPresent(id -> add(ids, id, engine));
      sideChannel(engine).ifPresent(channel -> add(channels, channel, engine));
    }
    List<Collision> collisions = new ArrayList<>();
    collect(
        "engine id",
        ids,
        "leave engine_id out of --kv-transfer-config, or give each engine one of its own",
        collisions);
    collect(
        "side channel",
        channels,
        "give each engine a VLLM_NIXL_SIDE_CHANNEL_PORT of its own, and leave room behind it for its"
            + " data-parallel ranks",
        collisions);
    return collisions;
  }

  /** A loopback address is one of the machine that it is on. */
  private static Optional<String> sideChannel(EngineProfile engine) {
    return engine
        .value(Fact.SIDE_CHANNEL_HOST)
        .map(host -> AddressRules.isLoopback(host) ? on(engine, host) : host)
        .flatMap(host -> engine.value(Fact.SIDE_CHANNEL_PORT).map(port -> host + ":" + port));
  }

  private static String on(EngineProfile engine, String loopback) {
    return loopback + engine.value(Fact.HTTP_HOST).map(host -> " of " + host).orElse("");
  }

  private static void add(Map<String, List<String>> users, String value, EngineProfile engine) {
    users.computeIfAbsent(value, key -> new ArrayList<>()).add(engine.name());
  }

  private static void collect(
      String what, Map<String, List<String>> users, String remedy, List<Collision> collisions) {
    users.forEach((value, engines) -> {
      if (engines.size() > 1) {
        collisions.add(new Collision(what, value, engines, remedy));
      }
    });
  }
}
