package dev.millrace.config;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.ElementType;
import dev.millrace.layout.GeometryText;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import dev.millrace.layout.compatibility.Compatibility;
import dev.millrace.layout.compatibility.ConnectorConfig;
import dev.millrace.layout.compatibility.EngineProfile;
import dev.millrace.layout.compatibility.Fact;
import dev.millrace.layout.compatibility.Verdict;
import dev.millrace.layout.compatibility.Way;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What operators say of engines: pools, workers, and what becomes of it. */
class DeclaredTest {
  private static final String TABLE =
      """
      pools:
        p:
          role: prefill
          model: llama
          engine: vllm
          vllm-version: 0.19.0
          lease: 300s
          geometry: tp=2,block=16
          model-config: {layers: 28, kv-heads: 8, head-size: 128, dtype: bf16, name: Qwen/Qwen3-0.6B}
          kv-transfer-config: 'MULTI'
          workers:
            - {url: "http://a:1"}
            - {url: "http://b:1", geometry: "tp=4,layout=nhd", lease: 60s}
        d: {role: decode, model: llama, engine: vllm, workers: [{url: "http://c:1"}]}
      routes:
        - {match: {model: llama}, prefill: {pool: p}, decode: {pool: d}}
      """;

  private static final String MULTI =
      "{\"kv_connector\": \"PdConnector\", \"kv_connector_extra_config\": {\"connectors\": ["
          + "{\"kv_connector\": \"DynamoConnector\"}, {\"kv_connector\": \"NixlConnector\","
          + " \"kv_connector_extra_config\": {\"enable_cross_layers_blocks\": true}}]}}";

  private static Pool pool() {
    return pool(TABLE);
  }

  private static Pool pool(String table) {
    return RoutingTablesTest.valid(RoutingTables.parse("t.yaml", table.replace("MULTI", MULTI)))
        .pool(Stage.roundRobin("p"));
  }

  private static EngineProfile profile(Pool pool, int worker) {
    EngineProfile.Builder profile = EngineProfile.named("w");
    pool.declaredOf(pool.workers().get(worker)).into(profile);
    return profile.build();
  }

  @Test
  void ofPool_holdsForAWorkerThatSaysNothing() {
    EngineProfile first = profile(pool(), 0);

    assertThat(first.value(Fact.CONNECTOR_VERSION)).contains(2);
    assertThat(first.value(Fact.TENSOR_PARALLEL)).contains(2);
    assertThat(first.value(Fact.BLOCK_SIZE)).contains(16);
    assertThat(first.value(Fact.LEASE)).contains(Duration.ofMinutes(5));
    assertThat(first.value(Fact.SHAPE))
        .contains(ModelShape.dense(28, 8, 128, ElementType.BFLOAT16));
    assertThat(first.value(Fact.MODEL)).contains("Qwen/Qwen3-0.6B");
    assertThat(first.value(Fact.CONNECTOR).map(ConnectorConfig::children))
        .map(List::size)
        .contains(2);
  }

  @Test
  void statesBesideAttention_areOfTheShape() {
    Pool hybrid =
        pool(
            TABLE.replace(
                "dtype: bf16, name", "dtype: bf16, state: gdn:2:4:8:8, state-layers: 84, name"));

    assertThat(profile(hybrid, 0).value(Fact.SHAPE))
        .contains(
            GeometryText.parse("layers=28,heads=8,head-size=128,state=gdn:2:4:8:8,state-layers=84")
                .model());
  }

  @Test
  void ofWorker_overridesFactByFact() {
    EngineProfile second = profile(pool(), 1);

    assertThat(second.value(Fact.TENSOR_PARALLEL)).contains(4);
    assertThat(second.value(Fact.BLOCK_SIZE)).contains(16);
    assertThat(second.value(Fact.LAYOUT)).contains(Layout.NHD);
    assertThat(second.value(Fact.LEASE)).contains(Duration.ofMinutes(1));
  }

  @Test
  void geometry_declaresOnlyWhatItSays() {
    EngineProfile.Builder bare = EngineProfile.named("w");
    Declared geometry =
        Declared.nothing().with(Fact.TENSOR_PARALLEL, 1, "t:1:1").or(Declared.nothing());
    geometry.into(bare);

    assertThat(bare.build().value(Fact.SHAPE)).isEmpty();
    assertThat(profile(pool(), 0).value(Fact.LAYOUT).filter(Layout.NHD::equals)).isEmpty();
  }

  @Test
  void statement_knowsItsPlace() {
    assertThat(profile(pool(), 0).known(Fact.TENSOR_PARALLEL).orElseThrow().where())
        .isEqualTo("t.yaml:8:15");
    assertThat(profile(pool(), 1).known(Fact.TENSOR_PARALLEL).orElseThrow().where())
        .isEqualTo("t.yaml:13:39");
  }

  @Test
  void twoKvTransferConfigs_areEnoughToRefuseAPair() {
    Declared decode =
        Declared.nothing()
            .with(
                Fact.CONNECTOR,
                ConnectorConfig.named("NixlConnector")
                    .withExtra("enable_cross_layers_blocks", true),
                "d")
            .or(pool().declared());
    EngineProfile.Builder d = EngineProfile.named("d");
    decode.into(d);

    Verdict verdict = Compatibility.check(profile(pool(), 0), d.build(), Way.ENGINE);

    assertThat(verdict).isInstanceOf(Verdict.Refused.class);
    assertThat(verdict.toString()).contains("DynamoConnector");
  }
}
