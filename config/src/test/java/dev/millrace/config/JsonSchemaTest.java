package dev.millrace.config;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.networknt.schema.Error;
import com.networknt.schema.InputFormat;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaLocation;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import dev.millrace.config.Example.Spot;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** The schemas, asked by a validator that is not ours, against the readers. */
class JsonSchemaTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final SchemaRegistry REGISTRY =
      SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12);
  private static final Map<Example, Schema> SCHEMAS = schemas();

  private static final Path ROOT = Path.of("..");

  private static final Pattern YAML_BLOCK =
      Pattern.compile("^```yaml\n(.*?)^```$", Pattern.DOTALL | Pattern.MULTILINE);

  private static Map<Example, Schema> schemas() {
    Map<Example, Schema> schemas = new EnumMap<>(Example.class);
    for (Example example : Example.values()) {
      schemas.put(example, REGISTRY.getSchema(json(example.schema()), InputFormat.JSON));
    }
    return schemas;
  }

  private static String json(@Nullable Object value) {
    try {
      return JSON.writeValueAsString(value);
    } catch (JsonProcessingException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static List<Error> errors(Example example, @Nullable Object content) {
    return Objects.requireNonNull(SCHEMAS.get(example)).validate(json(content), InputFormat.JSON);
  }

  @ParameterizedTest
  @EnumSource
  void schema_isOneOfItsDraft(Example example) {
    Schema draft =
        REGISTRY.getSchema(SchemaLocation.of("https://json-schema.org/draft/2020-12/schema"));

    assertThat(draft.validate(json(example.schema()), InputFormat.JSON)).isEmpty();
  }

  // ---- what stands in the repository ----

  static Stream<Arguments> texts() throws IOException {
    return Stream.of(
            tables(List.of(ROOT.resolve("docs/examples"), Path.of("src/test/resources")), ".yaml"),
            tables(List.of(ROOT, ROOT.resolve("docs"), ROOT.resolve("docker")), ".md"))
        .flatMap(each -> each);
  }

  /** The configurations in files, and in blocks of pages. */
  private static Stream<Arguments> tables(List<Path> folders, String ending) throws IOException {
    Stream.Builder<Arguments> found = Stream.builder();
    for (Path folder : folders) {
      try (Stream<Path> files = Files.list(folder)) {
        for (Path file : files.filter(path -> path.toString().endsWith(ending)).sorted().toList()) {
          String text = Files.readString(file);
          Stream<String> blocks =
              ending.equals(".yaml")
                  ? Stream.of(text)
                  : YAML_BLOCK.matcher(text).results().map(block -> block.group(1));
          blocks.forEach(block ->
              kind(block).ifPresent(kind -> found.add(Arguments.of(file.toString(), kind, block))));
        }
      }
    }
    return found.build();
  }

  /** What a text is a whole configuration of; a piece of one is none. */
  private static Optional<Example> kind(String text) {
    if (!(Example.load(text) instanceof Map<?, ?> map)) {
      return Optional.empty();
    }
    if (map.containsKey("routes")) {
      return Optional.of(Example.ROUTING_TABLE);
    }
    return map.containsKey("side-channels") ? Optional.of(Example.AGENT) : Optional.empty();
  }

  @ParameterizedTest
  @MethodSource("texts")
  void textsOfTheRepository_fit(String file, Example kind, String text) {
    assertThat(errors(kind, Example.load(text))).as(file).isEmpty();
    assertThat(kind.complaints(text)).as(file).isEmpty();
  }

  @Test
  void texts_areFoundWhereTheyAre() throws IOException {
    assertThat(texts().map(text -> String.valueOf(text.get()[0])))
        .contains(
            "../docs/configuration.md",
            "../docs/agent.md",
            "../docs/examples/vllm-cpu.yaml",
            "src/test/resources/everything.yaml",
            "src/test/resources/everything-agent.yaml");
  }

  // ---- what could be written at each key ----

  /** Something of every type, and what is nearly right. */
  private static final List<@Nullable Object> OTHERS =
      Arrays.asList(
          null,
          true,
          "true",
          -1,
          1,
          3.5,
          99_999,
          " ",
          "8",
          "-8",
          "2 MiB",
          "0s",
          "70s",
          "10.0.0.1:80",
          "http://10.0.0.1:80",
          List.of(),
          List.of("x"),
          List.of(1),
          Map.of(),
          Map.of("x", Map.of()));

  /** Of keys that several mappings have, one. */
  static Stream<Arguments> spots() {
    Set<List<Object>> seen = new HashSet<>();
    return Stream.of(Example.values())
        .flatMap(example ->
            example.spots().stream()
                .filter(spot ->
                    seen.add(List.of(spot.toString().replaceFirst(".*, ", ""), spot.value())))
                .map(spot -> Arguments.of(example, spot)));
  }

  /** How the reader words what a schema can see. */
  private static final Pattern OF_STRUCTURE =
      Pattern.compile(
          ".*(is empty, should be|, should be (text|a )|is an empty list|is not a known key"
              + "|is missing: |is not a whole number|is not a time|is not a size).*");

  /** Of a number; a schema has no bounds for one that is written as text. */
  private static final Pattern OUT_OF_BOUNDS = Pattern.compile(".*must be -?\\d+ to \\d+");

  /** What the reader takes fits; what it refuses for its structure does not. */
  @ParameterizedTest
  @MethodSource("spots")
  void whateverStandsThere_isJudgedAsByTheReader(Example example, Spot spot) {
    assertThat(OTHERS)
        .allSatisfy(other -> {
          Object content = example.with(spot, value -> other);
          List<Complaint> complaints = example.complaints(Example.yaml(content));
          if (complaints.isEmpty()) {
            assertThat(errors(example, content)).isEmpty();
          } else if (complaints.stream().anyMatch(complaint -> isOfStructure(complaint, other))) {
            assertThat(errors(example, content)).as("%s", complaints).isNotEmpty();
          }
        });
  }

  private static boolean isOfStructure(Complaint complaint, Object other) {
    return OF_STRUCTURE.matcher(complaint.message()).matches()
        || (other instanceof Number && OUT_OF_BOUNDS.matcher(complaint.message()).matches());
  }

  @ParameterizedTest
  @MethodSource("dev.millrace.config.DescribedKeysTest#mappings")
  void aKeyThatIsNotKnown_doesNotFit(Example example, Spot mapping) {
    Object content = example.with(mapping, DescribedKeysTest::withStrayKey);

    assertThat(errors(example, content)).isNotEmpty();
  }
}
