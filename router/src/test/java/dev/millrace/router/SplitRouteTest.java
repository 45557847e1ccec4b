package dev.millrace.router;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.Loaded;
import dev.millrace.config.RoutingTable;
import io.vertx.core.json.JsonObject;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** Routes of which other pools take a share. */
final class SplitRouteTest {
  private static final String COMPLETIONS = "/v1/completions";
  private static final String HALF =
      "match: {model: m}, decode: {pool: old}, split: {weight: 1, session: {header: x-session-id},"
          + " branches: [{name: next, weight: 1, served-model-name: m-2, decode: {pool: new}}]}";

  @RegisterExtension final Stage stage = new Stage();

  private final Pooled pooled =
      new Pooled(stage).with("old", "m", Scripts.decode()).with("new", "m-2", Scripts.decode());

  private JsonObject ask(String id, String... headers) {
    String[] all = new String[headers.length + 2];
    System.arraycopy(headers, 0, all, 0, headers.length);
    all[headers.length] = "x-request-id";
    all[headers.length + 1] = id;
    assertThat(pooled.ask(COMPLETIONS, "m", all).statusCode()).isEqualTo(200);
    return stage.record(id);
  }

  private String metrics() {
    return stage.get(stage.adminUrl("/metrics")).body();
  }

  @Test
  void requests_takeBothBranchesAndRecordsAndMetricsSayWhich() throws Exception {
    pooled.open(HALF);

    for (int i = 0; i < 24; i++) {
      JsonObject record = ask("r-" + i);
      boolean isNew = record.getString("branch").equals("next");
      assertThat(record.getString("branch")).isEqualTo(isNew ? "next" : "own");
      assertThat(record.getString("decode"))
          .isEqualTo(pooled.engine(isNew ? "new" : "old").url().toString());
      assertThat(record.getString("asked_as")).isEqualTo(isNew ? "m-2" : null);
    }

    int old = pooled.engine("old").requests().size();
    int next = pooled.engine("new").requests().size();
    assertThat(old).isPositive();
    assertThat(next).isPositive();
    assertThat(metrics())
        .contains("millrace_route_branch_total{route=\"m\",branch=\"own\"} " + old + "\n")
        .contains("millrace_route_branch_total{route=\"m\",branch=\"next\"} " + next + "\n");
    assertThat(pooled.engine("new").requests())
        .allSatisfy(request -> assertThat(request.text()).contains("\"model\":\"m-2\""));
  }

  @Test
  void session_staysOnItsBranch() throws Exception {
    pooled.open(HALF);
    Set<String> used = new HashSet<>();

    for (int session = 0; session < 12; session++) {
      String first = ask(session + "-a", "x-session-id", "s" + session).getString("branch");
      String second = ask(session + "-b", "x-session-id", "s" + session).getString("branch");
      assertThat(second).isEqualTo(first);
      used.add(first);
    }

    assertThat(used).containsExactlyInAnyOrder("own", "next");
  }

  @Test
  void branchWithoutWeight_getsNothing() throws Exception {
    pooled.open(HALF.replace("split: {weight: 1", "split: {weight: 0"));

    for (int i = 0; i < 8; i++) {
      assertThat(ask("r-" + i).getString("branch")).isEqualTo("next");
    }
  }

  @Test
  void otherWeights_takeOverWithoutARestartAndGoOnCounting() throws Exception {
    RoutingTable all = pooled.table(HALF.replace("split: {weight: 1", "split: {weight: 0"));
    RoutingTable none = pooled.table(HALF.replace("next, weight: 1", "next, weight: 0"));
    AtomicReference<RoutingTable> file = new AtomicReference<>(all);
    stage.open(all, () -> new Loaded.Valid(file.get()));
    assertThat(ask("one").getString("branch")).isEqualTo("next");

    file.set(none);
    assertThat(stage.post(stage.adminUrl("/pd/reload"), "").statusCode()).isEqualTo(200);

    assertThat(ask("two").getString("branch")).isEqualTo("own");
    assertThat(metrics())
        .contains("millrace_route_branch_total{route=\"m\",branch=\"own\"} 1\n")
        .contains("millrace_route_branch_total{route=\"m\",branch=\"next\"} 1\n");
  }
}
