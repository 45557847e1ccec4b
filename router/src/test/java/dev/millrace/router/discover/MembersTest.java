package dev.millrace.router.discover;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.config.HostPort;
import dev.millrace.config.Loaded;
import dev.millrace.config.Pool;
import dev.millrace.config.RoutingTable;
import dev.millrace.config.RoutingTables;
import dev.millrace.config.WorkerAddress;
import dev.millrace.config.WorkerSource;
import io.vertx.core.Vertx;
import java.net.URI;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Whom a pool has when several have a say. */
final class MembersTest {
  private static final URI A = URI.create("http://a:1");
  private static final URI B = URI.create("http://b:1");
  private static final URI C = URI.create("http://c:1");

  private final Vertx vertx = Vertx.vertx();
  private final Members members = new Members(vertx, () -> {});

  @AfterEach
  void end() {
    vertx.close();
  }

  private static RoutingTable table(String prefill, String decode) {
    String text =
        """
        pools:
          p: {role: prefill, model: m, engine: vllm, workers: [%s]}
          d: {role: decode, model: m, engine: vllm, workers: [%s]}
        routes: [{match: {model: m}, prefill: {pool: p}, decode: {pool: d}}]
        """
            .formatted(prefill, decode);
    if (RoutingTables.parse("f", text) instanceof Loaded.Valid(RoutingTable table)) {
      return table;
    }
    throw new AssertionError(text);
  }

  private static String listed(URI url) {
    return "{url: \"%s\"}".formatted(url);
  }

  private static WorkerAddress added(URI url, Optional<HostPort> sideChannel) {
    WorkerAddress listed = WorkerAddress.of(url);
    return new WorkerAddress(
        url, sideChannel, 1, listed.declared(), listed.labels(), WorkerSource.ADMIN);
  }

  private static WorkerAddress added(URI url) {
    return added(url, Optional.empty());
  }

  private List<String> of(String pool, RoutingTable read) {
    Pool has = Objects.requireNonNull(members.with(read).pools().get(pool));
    return has.workers().stream().map(each -> each.url() + " " + each.source()).toList();
  }

  @Test
  void table_isItselfIfNobodyElseHasASay() {
    RoutingTable read = table(listed(A), listed(B));

    assertThat(members.with(read)).isEqualTo(read);
  }

  @Test
  void workersThatFilesName_comeFirst() {
    members.add("d", added(C));

    assertThat(of("d", table(listed(A), listed(B)))).containsExactly(B + " STATIC", C + " ADMIN");
  }

  @Test
  void addedWorkerThatTheTableNames_isForgotten() {
    members.add("d", added(C));

    assertThat(of("d", table("", listed(B) + ", " + listed(C))))
        .containsExactly(B + " STATIC", C + " STATIC");
    assertThat(of("d", table("", listed(B)))).containsExactly(B + " STATIC");
  }

  @Test
  void addedWorkerThatAnotherPoolNames_waits() {
    members.add("d", added(C));

    assertThat(of("d", table(listed(C), listed(B)))).containsExactly(B + " STATIC");
    assertThat(of("d", table(listed(A), listed(B)))).containsExactly(B + " STATIC", C + " ADMIN");
  }

  @Test
  void addedWorkerWithAnothersSideChannel_waits() {
    members.add("d", added(C, Optional.of(new HostPort("b", 9))));

    assertThat(of("d", table("", "{url: \"http://b:1\", side-channel: \"b:9\"}")))
        .containsExactly(B + " STATIC");
  }

  @Test
  void addedWorkerOfAPoolThatIsGone_isForgotten() {
    members.add("x", added(C));

    assertThat(of("d", table("", listed(B)))).containsExactly(B + " STATIC");
    members.remove("x", C);
    members.with(table("", listed(B)));
    assertThat(members.removed()).isEmpty();
  }

  @Test
  void removedWorker_staysAwayAsLongAsItIsNamed() {
    RoutingTable both = table("", listed(B) + ", " + listed(C));
    members.remove("d", C);
    assertThat(of("d", both)).containsExactly(B + " STATIC");
    assertThat(of("d", both)).containsExactly(B + " STATIC");
    assertThat(members.removed()).hasSize(1);

    assertThat(of("d", table("", listed(B)))).containsExactly(B + " STATIC");

    assertThat(members.removed()).isEmpty();
    assertThat(of("d", both)).containsExactly(B + " STATIC", C + " STATIC");
  }

  @Test
  void removedWorker_mayBeAddedToAnotherPool() {
    RoutingTable read = table(listed(A), listed(B) + ", " + listed(C));
    members.remove("d", C);
    members.add("p", added(C));

    assertThat(of("p", read)).containsExactly(A + " STATIC", C + " ADMIN");
    assertThat(of("d", read)).containsExactly(B + " STATIC");
  }

  @Test
  void owner_isWhoeverHasTheAddressInTheSameModel() {
    RoutingTable read = table(listed(A), listed(B));
    Pool d = Objects.requireNonNull(read.pools().get("d"));

    assertThat(Members.owner(read, d, added(C))).isEmpty();
    assertThat(Members.owner(read, d, added(A)))
        .contains("http://a:1 of pool \"p\" (source static)");
  }
}
