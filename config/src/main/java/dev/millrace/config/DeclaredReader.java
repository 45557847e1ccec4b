package dev.millrace.config;

import static dev.millrace.config.Complaints.quote;

import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.GeometryText;
import dev.millrace.layout.IncompatibleGeometry;
import dev.millrace.layout.Layout;
import dev.millrace.layout.compatibility.ConnectorConfig;
import dev.millrace.layout.compatibility.Fact;
import dev.millrace.layout.compatibility.KvScales;
import dev.millrace.layout.compatibility.SpeculativeSetup;
import dev.millrace.layout.compatibility.TransferMode;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.regex.Pattern;

/** What is declared of the engines of a pool or of one worker: the same keys in both places. */
final class DeclaredReader {
  static final Pattern VERSION = Pattern.compile("\\d+\\.\\d+[0-9A-Za-z.+_-]*");
  static final int MOST_CONNECTOR_VERSION = 1000;
  static final int MOST_BLOCK_TOKENS = 1 << 20;

  private static final Set<String> ENGINE_KEYS = Set.of("tp", "pp", "dcp", "block", "layout");

  private final Section section;
  private Declared declared = Declared.nothing();

  private DeclaredReader(Section section) {
    this.section = section;
  }

  static Declared read(Section section) {
    DeclaredReader reader = new DeclaredReader(section);
    reader.versions();
    reader.geometry();
    reader.model();
    reader.cache();
    reader.connector();
    return reader.declared;
  }

  private <T> void fact(String key, Fact<T> fact, Function<Field, Optional<T>> reading) {
    section
        .find(key)
        .ifPresent(field -> declared = declared.with(fact, reading.apply(field), field.place()));
  }

  private void versions() {
    fact("vllm-version", Fact.VLLM_VERSION, DeclaredReader::version);
    fact(
        "connector-version",
        Fact.CONNECTOR_VERSION,
        field -> field.integer(1, MOST_CONNECTOR_VERSION));
    fact("nixl-version", Fact.NIXL_VERSION, DeclaredReader::version);
    fact(
        "interchangeable-versions",
        Fact.INTERCHANGEABLE_VERSIONS,
        field ->
            field
                .items()
                .map(items -> {
                  Set<String> versions = new HashSet<>();
                  items.forEach(item -> version(item).ifPresent(versions::add));
                  return versions;
                }));
  }

  private static Optional<String> version(Field field) {
    return field
        .text()
        .flatMap(text ->
            VERSION.matcher(text).matches()
                ? Optional.of(text)
                : field.refuse("%s is not a version such as 0.32.0".formatted(quote(text))));
  }

  // ---- geometry: only what is written counts, not what a command line would take for granted ----

  private void geometry() {
    section
        .find("geometry")
        .ifPresent(field -> field.text().ifPresent(text -> geometry(field, text)));
  }

  private void geometry(Field field, String text) {
    GeometrySpec spec;
    try {
      spec = GeometryText.parse(text);
      // Building it once finds what does not go together.
      spec.geometry();
    } catch (IllegalArgumentException | IncompatibleGeometry e) {
      field.complain(String.valueOf(e.getMessage()));
      return;
    }
    Set<String> said = new HashSet<>();
    for (String part : text.split(",", -1)) {
      said.add(part.split("=", 2)[0].strip());
    }
    said.stream()
        .filter(key -> !key.isEmpty() && !key.equals("blocks") && !ENGINE_KEYS.contains(key))
        .sorted()
        .findFirst()
        .ifPresent(key ->
            field.complain("%s is the model's; say it in model-config".formatted(quote(key))));
    String where = field.place();
    if (said.contains("tp")) {
      declared = declared.with(Fact.TENSOR_PARALLEL, spec.parallelism().tensor(), where);
    }
    if (said.contains("pp")) {
      declared = declared.with(Fact.PIPELINE_PARALLEL, spec.parallelism().pipeline(), where);
    }
    if (said.contains("dcp")) {
      declared =
          declared.with(Fact.DECODE_CONTEXT_PARALLEL, spec.parallelism().decodeContext(), where);
    }
    if (said.contains("block")) {
      declared = declared.with(Fact.BLOCK_SIZE, spec.blockSize(), where);
    }
    if (said.contains("layout")) {
      Layout layout = spec.layout();
      declared = declared.with(Fact.LAYOUT, layout, where);
    }
  }

  // ---- the model ----

  private void model() {
    section
        .find("model-config")
        .flatMap(Field::section)
        .ifPresent(model -> {
          new DeclaredModel(model).facts().forEach(this::add);
          model.refuseOtherKeys();
        });
  }

  private void add(DeclaredModel.Said<?> said) {
    declared = said.addedTo(declared);
  }

  // ---- how the engine keeps its cache ----

  private void cache() {
    fact("attention-backend", Fact.ATTENTION_BACKEND, Field::text);
    fact("cache-dtype", Fact.CACHE_DTYPE, Field::text);
    fact("kv-scales", Fact.KV_SCALES, field -> named(field, KvScales.values()));
    fact("kernel-block-size", Fact.KERNEL_BLOCK_SIZE, field -> field.integer(1, MOST_BLOCK_TOKENS));
    fact("prefix-caching", Fact.PREFIX_CACHING, Field::flag);
    fact("hybrid-kv-cache-manager", Fact.HYBRID_CACHE_MANAGER, Field::flag);
    fact("cross-layer-blocks", Fact.CROSS_LAYER_BLOCKS, Field::flag);
    fact("conv-state-layout", Fact.CONV_STATE_LAYOUT, Field::text);
    fact(
        "speculation",
        Fact.SPECULATION,
        field ->
            field
                .text()
                .map(method -> new SpeculativeSetup(method, Optional.empty(), Optional.empty())));
  }

  // ---- how it hands blocks over ----

  private void connector() {
    fact("kv-transfer-config", Fact.CONNECTOR, DeclaredReader::connectorConfig);
    fact("transfer-mode", Fact.TRANSFER_MODE, field -> named(field, TransferMode.values()));
    fact("host-buffer", Fact.HOST_BUFFER, Field::flag);
    fact("engine-id", Fact.ENGINE_ID, Field::text);
    fact("lease", Fact.LEASE, Field::duration);
  }

  private static Optional<ConnectorConfig> connectorConfig(Field field) {
    return field
        .object()
        .flatMap(object -> {
          try {
            return Optional.of(ConnectorConfig.of(object));
          } catch (IllegalArgumentException e) {
            return field.refuse(String.valueOf(e.getMessage()));
          }
        });
  }

  /** A value of one of {@code layout}'s enums, which are written in lower case. */
  static <E extends Enum<E>> Optional<E> named(Field field, E[] values) {
    List<String> names = Arrays.stream(values).map(DeclaredReader::keyword).toList();
    return field
        .text()
        .flatMap(text -> {
          int at = names.indexOf(text);
          return at >= 0
              ? Optional.of(values[at])
              : field.refuse(
                  "%s is none of %s%s"
                      .formatted(quote(text), String.join(", ", names), Nearest.hint(text, names)));
        });
  }

  static String keyword(Enum<?> value) {
    return value.name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
