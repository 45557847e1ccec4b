package dev.millrace.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class VariablesTest {
  private static final Map<String, String> ENVIRONMENT =
      Map.of("PORT", "8123", "P_HOST", "10.0.0.7", "EMPTY", "", "ODD", "a: {b}, ${PORT} $1");

  private static final String TABLE =
      """
      listen: {port: "${PORT}", host: "${HOST:-0.0.0.0}"}
      pools:
        p: {role: prefill, model: MODEL, engine: vllm, workers: [{url: "http://${P_HOST}:8000"}]}
        d: {role: decode, model: MODEL, engine: vllm, workers: [{url: "http://b:1"}]}
      routes:
        - {match: {model: MODEL}, prefill: {pool: p}, decode: {pool: d}}
      """;

  private static Loaded read(String model) {
    return RoutingTables.parse("routes.yaml", TABLE.replace("MODEL", model), ENVIRONMENT::get);
  }

  private static RoutingTable table(String model) {
    return switch (read(model)) {
      case Loaded.Valid(RoutingTable table) -> table;
      case Loaded.Invalid invalid -> throw new AssertionError(invalid.toString());
    };
  }

  @Test
  void values_haveVariablesAndDefaults() {
    RoutingTable table = table("llama");

    assertThat(table.listen().port()).isEqualTo(8123);
    assertThat(table.listen().host()).isEqualTo("0.0.0.0");
    assertThat(table.pools().values())
        .flatExtracting(Pool::workers)
        .extracting(worker -> worker.url().toString())
        .contains("http://10.0.0.7:8000");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "'${PORT}'        | 8123",
        "x-${PORT}-${PORT}| x-8123-8123",
        "'${EMPTY:-e}'    | e",
        "'${NONE:-}n'     | n",
        "'$${PORT}'       | ${PORT}",
        "'$$$${PORT}'     | $${PORT}",
        "'US$'            | US$",
        "'$PORT'          | $PORT",
        "'${ODD}'         | a: {b}, ${PORT} $1",
      })
  void value_isAsItsVariablesSay(String written, String meant) {
    assertThat(table('"' + written + '"').routes().getFirst().model()).isEqualTo(meant);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "'\"${NONE}\"'    | the environment has no NONE; set it, or write ${NONE:-otherwise}",
        "'\"${EMPTY}\"'   | the environment has no EMPTY",
        "'\"${1X}\"'      | write ${NAME} or ${NAME:-otherwise}",
        "'\"a${PORT\"'    | write ${NAME} or ${NAME:-otherwise}",
      })
  void mistake_hasItsPlace(String written, String said) {
    assertThat(read(written))
        .isInstanceOfSatisfying(
            Loaded.Invalid.class,
            invalid ->
                assertThat(invalid.complaints())
                    .anySatisfy(complaint -> {
                      assertThat(complaint.toString())
                          .startsWith("routes.yaml:3:29: pools.p.model");
                      assertThat(complaint.message()).contains(said);
                    }));
  }

  @Test
  void aliases_areFilledOnce() {
    Loaded read =
        RoutingTables.parse(
            "routes.yaml",
            """
            pools:
              p: {role: prefill, model: &m "${PORT}", engine: vllm, workers: [{url: "http://a:1"}]}
              d: {role: decode, model: *m, engine: vllm, workers: [{url: "http://b:1"}]}
            routes:
              - {match: {model: *m}, prefill: {pool: p}, decode: {pool: d}}
            """,
            ENVIRONMENT::get);

    assertThat(read).isInstanceOf(Loaded.Valid.class);
  }
}
