package dev.millrace.router.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.vertx.core.buffer.Buffer;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Where the ids of responses stand, and which are none. */
final class ResponseIdTest {
  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"id\":\"resp_1-A\",\"status\":\"completed\"}",
        " { \"output\" : [{\"id\":\"msg_1\"}] , \"id\" : \"resp_1-A\" }",
        "{\"id\":\"resp_\\u0031-A\"}",
      })
  void wholeAnswer_hasItAtItsRoot(String answer) {
    assertThat(ResponseId.ofWhole(Buffer.buffer(answer))).contains("resp_1-A");
  }

  @Test
  void stream_hasItInItsFirstEvent() {
    String event = "data: {\"response\":{\"id\":\"resp_1\",\"x\":1},\"n\":0}";
    for (String head :
        List.of(
            "event: response.created\n" + event + "\n\n",
            "data:{\"n\":0, \"response\": {\"output\":[{\"id\":\"msg\"}],\"id\":\"resp_1\"}}\r\n\r\n",
            ": hello\r" + event + "\r\rdata: {\"response\":{\"id\":\"no\"}}")) {
      assertThat(ResponseId.ofStream(Buffer.buffer(head))).as(head).contains("resp_1");
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "data",
        "data:",
        "data: 1\n\n",
        "data: {\"response\":\"resp_1\"}\n\n",
        "data: {\"response\":{\"id\":7}}\n\n",
        "data: {\"id\":\"resp_1\"}\n\n",
        "data: {\"response\":{\"id\":\"a/b\"}}\n\n",
        "event: x\n\n",
        "data: {\"response\":{\"id"
      })
  void streamWithoutOne_hasNone(String head) {
    assertThat(ResponseId.ofStream(Buffer.buffer(head))).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "[]",
        "{}",
        "{\"id\":",
        "{\"id\":null}",
        "{\"id\":\"\"}",
        "{\"id\":\"a/b\"}",
        "{\"id\":\"..\"}",
        "{\"id\":\"a?b\"}",
        "{\"id\":\"a%20\"}",
        "{\"id\":\"a\\u000d\"}",
        "{\"id\":\"é\"}"
      })
  void wholeAnswerWithoutOneFitForAPath_hasNone(String answer) {
    assertThat(ResponseId.ofWhole(Buffer.buffer(answer))).isEmpty();
  }

  @Test
  void longId_isNone() {
    String longest = "a".repeat(128);

    assertThat(ResponseId.ofWhole(Buffer.buffer("{\"id\":\"" + longest + "\"}"))).contains(longest);
    assertThat(ResponseId.ofWhole(Buffer.buffer("{\"id\":\"a" + longest + "\"}"))).isEmpty();
  }
}
