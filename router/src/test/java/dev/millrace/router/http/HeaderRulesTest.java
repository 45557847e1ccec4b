package dev.millrace.router.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.vertx.core.MultiMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Which headers pass, whatever their length and case. */
final class HeaderRulesTest {
  @ParameterizedTest
  @ValueSource(
      strings = {
        "Host",
        "Expect",
        "X-Request-Id",
        "Accept-Encoding",
        "TE",
        "Transfer-Encoding",
        "Content-Length",
        "Keep-Alive",
        "Proxy-Authorization",
        "X-Data-Parallel-Rank",
        "X-Bootstrap-Room",
        "x-bootstrap-abc",
        "x-prefiller-url",
        "X-Prefiller-Host-Port",
      })
  void headerOfTheRouters_doesNotReachAnEngine(String name) {
    assertThat(HeaderRules.passesToEngine(name)).isFalse();
  }

  @ParameterizedTest
  @ValueSource(strings = {"Authorization", "Traceparent", "X-Y", "Cookie", "x-mine-as-15-ab"})
  void otherHeader_reachesTheEngine(String name) {
    assertThat(HeaderRules.passesToEngine(name)).isTrue();
  }

  @ParameterizedTest
  @ValueSource(strings = {"Access-Control-Allow-Origin", "access-control-expose-headers"})
  void whoMayReadAnswers_isNotForEnginesToSay(String name) {
    assertThat(HeaderRules.passesToClient(name)).isFalse();
  }

  @Test
  void headersNamedByConnection_stayBehind() {
    MultiMap from =
        MultiMap.caseInsensitiveMultiMap()
            .add("Connection", "keep-alive, X-Hop")
            .add("Connection", "x-other")
            .add("X-Hop", "1")
            .add("X-Other", "1")
            .add("X-Stays", "1");
    MultiMap to = MultiMap.caseInsensitiveMultiMap();

    HeaderRules.copyToEngine(from, to);

    assertThat(to.names()).containsExactly("X-Stays");
  }
}
