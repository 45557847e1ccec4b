package dev.millrace.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

/** Workers that are described in a request. */
class AddedWorkersTest {
  @Test
  void worker_hasWhatATableCouldSayOfIt() {
    String text =
        """
        {"pool": "d", "url": "http://A:1/", "side-channel": "a:9", "data-parallel-size": 2,
         "labels": {"zone": "a"}, "engine-id": "e-1"}
        """;

    assertThat(AddedWorkers.parse("POST", text))
        .isInstanceOfSatisfying(
            LoadedWorker.Valid.class,
            read -> {
              assertThat(read.pool()).isEqualTo("d");
              assertThat(read.worker().url()).hasToString("http://a:1");
              assertThat(read.worker().sideChannel(1)).contains(new HostPort("a", 10));
              assertThat(read.worker().labels()).containsEntry("zone", "a");
              assertThat(read.worker().declared()).isNotEqualTo(Declared.nothing());
              assertThat(read.worker().source()).isEqualTo(WorkerSource.ADMIN);
            });
  }

  @Test
  void mistakes_areAllNamedInTheirPlaces() {
    assertThat(AddedWorkers.parse("POST", "{\"url\": 1,\n \"polo\": \"d\"}"))
        .isInstanceOfSatisfying(
            LoadedWorker.Invalid.class,
            read ->
                assertThat(read.complaints())
                    .extracting(Complaint::toString)
                    .containsExactlyInAnyOrder(
                        "POST:1:1: \"pool\" is missing: the name of the pool that gets the worker",
                        "POST:1:9: url: \"1\" is not an http(s) URL such as http://10.0.0.4:8000",
                        "POST:2:2: polo: is not a known key; did you mean \"pool\"?"));
  }

  @Test
  void whatIsNoMapping_isRefused() {
    for (String text : List.of("", "[]", "7", "{")) {
      assertThat(AddedWorkers.parse("POST", text)).isInstanceOf(LoadedWorker.Invalid.class);
    }
  }
}
