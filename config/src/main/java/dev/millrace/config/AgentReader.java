package dev.millrace.config;

import static dev.millrace.config.Complaints.quote;

import dev.millrace.config.AgentConfig.Serving;
import dev.millrace.config.AgentConfig.SideChannel;
import dev.millrace.config.AgentConfig.Transport;
import dev.millrace.layout.ModelShape;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** The keys of an agent's configuration, top to bottom. */
final class AgentReader {
  static final String DEFAULT_HOST = "127.0.0.1";
  static final int DEFAULT_PORT = 7400;
  static final Transport DEFAULT_TRANSPORT = Transport.TCP;
  static final long LEAST_BYTES = 1L << 20;
  static final long MOST_BYTES = 1L << 43;
  static final long DEFAULT_BUDGET_BYTES = 4L << 30;
  static final long DEFAULT_SLAB_BYTES = 256L << 20;
  static final Duration DEFAULT_HOLD = Duration.ofSeconds(60);
  static final Duration DEFAULT_READ = Duration.ofSeconds(30);
  static final Duration DEFAULT_HANDSHAKE = Duration.ofSeconds(5);
  static final int DEFAULT_READS_AT_ONCE = 32;
  static final int MOST_READS_AT_ONCE = 1024;

  /** What a kind of decode engine gets of the budget. */
  private static final int SERVING_PART = 4;

  private final Path file;
  private final Complaints complaints;

  AgentReader(Path file, Complaints complaints) {
    this.file = file;
    this.complaints = complaints;
  }

  private record Listening(String host, int port) {}

  private record Sizes(long budgetBytes, long slabBytes, long servingBytes) {}

  private record Times(Duration hold, Duration read, Duration handshake) {}

  LoadedAgent read(Field root) {
    Optional<Section> found = root.section();
    if (found.isEmpty()) {
      return new LoadedAgent.Invalid(complaints.ordered());
    }
    Section top = found.get();
    Listening listen = listen(top);
    Optional<Path> token =
        top.require("token-file", "the file with the token that callers must know")
            .flatMap(field -> field.path(file));
    Transport transport =
        top.find("transport")
            .flatMap(field -> field.choice(Transport.values()))
            .orElse(DEFAULT_TRANSPORT);
    Optional<Path> secret = secret(top, transport);
    Sizes memory = memory(top);
    Times times = times(top);
    int reads =
        top.find("reads-at-once")
            .flatMap(field -> field.integer(1, MOST_READS_AT_ONCE))
            .orElse(DEFAULT_READS_AT_ONCE);
    Map<String, Optional<ModelShape>> models = models(top);
    List<SideChannel> channels = sideChannels(top, models);
    Optional<Serving> serving =
        top.find("side-channel")
            .flatMap(Field::section)
            .flatMap(section -> ServingReader.read(section, memory.servingBytes()));
    top.refuseOtherKeys();
    if (!complaints.none() || token.isEmpty()) {
      return new LoadedAgent.Invalid(complaints.ordered());
    }
    Map<String, ModelShape> shapes = new LinkedHashMap<>();
    models.forEach((name, shape) -> shape.ifPresent(known -> shapes.put(name, known)));
    return new LoadedAgent.Valid(
        new AgentConfig(
            listen.host(),
            listen.port(),
            token.get(),
            transport,
            secret,
            memory.budgetBytes(),
            memory.slabBytes(),
            times.hold(),
            times.read(),
            times.handshake(),
            reads,
            shapes,
            channels,
            serving));
  }

  private static Listening listen(Section top) {
    Listening defaults = new Listening(DEFAULT_HOST, DEFAULT_PORT);
    Optional<Section> section = top.find("listen").flatMap(Field::section);
    if (section.isEmpty()) {
      return defaults;
    }
    Section listen = section.get();
    Listening read =
        new Listening(
            listen.find("host").flatMap(Field::host).orElse(defaults.host()),
            listen.integer("port", 0, 65535, defaults.port()));
    listen.refuseOtherKeys();
    return read;
  }

  private Optional<Path> secret(Section top, Transport transport) {
    String meaning = "the file with the secret that the transports of engines and agents share";
    return switch (transport) {
      case TCP -> top.require("secret-file", meaning).flatMap(field -> field.path(file));
      case NIXL -> top.find("secret-file").flatMap(field -> field.path(file));
    };
  }

  private static Sizes memory(Section top) {
    Sizes defaults =
        new Sizes(DEFAULT_BUDGET_BYTES, DEFAULT_SLAB_BYTES, DEFAULT_BUDGET_BYTES / SERVING_PART);
    Optional<Section> section = top.find("memory").flatMap(Field::section);
    if (section.isEmpty()) {
      return defaults;
    }
    Section memory = section.get();
    long budget = bytes(memory, "budget", defaults.budgetBytes());
    long slab = part(memory, "slab", Math.min(budget, defaults.slabBytes()), budget);
    long serving = part(memory, "serving", Math.max(LEAST_BYTES, budget / SERVING_PART), budget);
    memory.refuseOtherKeys();
    return new Sizes(budget, slab, serving);
  }

  private static long part(Section memory, String key, long otherwise, long budget) {
    long bytes = bytes(memory, key, otherwise);
    if (bytes > budget) {
      memory
          .find(key)
          .ifPresent(field ->
              field.complain("is %d bytes, more than the budget of %d".formatted(bytes, budget)));
    }
    return bytes;
  }

  private static long bytes(Section memory, String key, long otherwise) {
    return memory
        .find(key)
        .flatMap(field -> field.bytes(LEAST_BYTES, MOST_BYTES))
        .orElse(otherwise);
  }

  private static Times times(Section top) {
    Duration hold = top.duration("hold", DEFAULT_HOLD);
    Times defaults = new Times(hold, DEFAULT_READ, DEFAULT_HANDSHAKE);
    Optional<Section> section = top.find("deadlines").flatMap(Field::section);
    if (section.isEmpty()) {
      return defaults;
    }
    Section deadlines = section.get();
    Times read =
        new Times(
            hold,
            deadlines.duration("read", defaults.read()),
            deadlines.duration("handshake", defaults.handshake()));
    deadlines.refuseOtherKeys();
    return read;
  }

  private static Map<String, Optional<ModelShape>> models(Section top) {
    Map<String, Optional<ModelShape>> models = new LinkedHashMap<>();
    top.require("models", "what the KV caches hold: a map of names to {layers, kv-heads, …}")
        .flatMap(Field::section)
        .ifPresent(
            section -> section.entries().forEach((name, field) -> models.put(name, model(field))));
    return models;
  }

  private static Optional<ModelShape> model(Field field) {
    Optional<Section> section = field.section();
    if (section.isEmpty()) {
      return Optional.empty();
    }
    Optional<ModelShape> shape = ModelShapeReader.read(section.get());
    section.get().refuseOtherKeys();
    return shape;
  }

  private static List<SideChannel> sideChannels(
      Section top, Map<String, Optional<ModelShape>> models) {
    List<SideChannel> channels = new ArrayList<>();
    Set<HostPort> seen = new HashSet<>();
    top.require("side-channels", "a list of {address, model, connector-version}: whom to ask")
        .flatMap(Field::items)
        .orElse(List.of())
        .forEach(item -> sideChannel(item, models, seen).ifPresent(channels::add));
    return channels;
  }

  private static Optional<SideChannel> sideChannel(
      Field item, Map<String, Optional<ModelShape>> models, Set<HostPort> seen) {
    Optional<Section> section = item.section();
    if (section.isEmpty()) {
      return Optional.empty();
    }
    Section channel = section.get();
    Optional<Field> addressField = channel.require("address", "such as 10.0.0.4:5600");
    Optional<HostPort> address = addressField.flatMap(Field::hostPort);
    if (address.isPresent() && !seen.add(address.get())) {
      addressField
          .get()
          .complain("%s is listed already; remove one of them".formatted(address.get()));
    }
    Optional<Field> modelField = channel.require("model", "a name of models");
    Optional<String> model = modelField.flatMap(Field::text);
    if (model.isPresent() && !models.containsKey(model.get())) {
      modelField
          .get()
          .complain(
              "there is no model %s; known: %s%s"
                  .formatted(
                      quote(model.get()),
                      models.isEmpty() ? "none" : String.join(", ", models.keySet()),
                      Nearest.hint(model.get(), models.keySet())));
    }
    Optional<Integer> version =
        channel
            .require("connector-version", "NIXL_CONNECTOR_VERSION of the engine, such as 14")
            .flatMap(field -> field.integer(1, DeclaredReader.MOST_CONNECTOR_VERSION));
    Optional<String> nixl = channel.find("nixl-version").flatMap(Field::text);
    channel.refuseOtherKeys();
    return address.isPresent() && model.isPresent() && version.isPresent()
        ? Optional.of(new SideChannel(address.get(), model.get(), version.get(), nixl))
        : Optional.empty();
  }
}
