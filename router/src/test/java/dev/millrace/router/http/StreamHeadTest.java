package dev.millrace.router.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.vertx.core.buffer.Buffer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Which events let a stream's head go. */
final class StreamHeadTest {
  private static StreamHead.Verdict feed(String text) {
    return new StreamHead().feed(Buffer.buffer(text));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"choices\":[{\"index\":0,\"text\":\"a\"}]}",
        "{\"choices\":[{\"text\":\"\"},{\"index\":1,\"text\":\"a\"}]}",
        "{\"choices\":[{\"delta\":{\"content\":\"a\"}}]}",
        "{\"choices\":[{\"delta\":{\"reasoning\":\"a\"}}]}",
        "{\"choices\":[{\"delta\":{\"reasoning_content\":\"a\"}}]}",
        "{\"choices\":[{\"delta\":{\"refusal\":\"a\"}}]}",
        "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0}]}}]}",
        "{\"choices\":[{\"delta\":{\"function_call\":{\"name\":\"f\"}}}]}",
        "{\"choices\":[{\"delta\":{\"audio\":{\"id\":\"a\"}}}]}",
        "{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}",
        "{\"choices\":[{\"delta\":{},\"logprobs\":{\"content\":[]}}]}",
        "{\"choices\":[{\"text\":\"\",\"token_ids\":[102]}]}",
        "{\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":3}}",
        "[DONE]",
      })
  void eventThatSaysSomething_letsItGo(String data) {
    assertThat(feed("data: " + data + "\n\n")).isInstanceOf(StreamHead.Verdict.Speaks.class);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,"
            + "\"finish_reason\":null}],\"prompt_token_ids\":[1,2]}\n\n",
        "data: {\"choices\":[{\"text\":\"\",\"token_ids\":null,\"tool_calls\":[]}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"tool_calls\":[],\"content\":null}}],\"usage\":null}\n\n",
        "data: {\"choices\":[{\"text\":\"\"}],\"usage\":{\"completion_tokens\":0}}\n\n",
        "data: {\"choices\":[],\"error\":null}\n\n",
        ": comment\n\n",
        "event: ping\n\n",
        "\n\n\r\n",
        "data: {\"choices\":[{\"text\":\"a\"}]}\n",
      })
  void eventThatSaysNothing_isHeld(String text) {
    assertThat(feed(text)).isInstanceOf(StreamHead.Verdict.Silent.class);
  }

  @ParameterizedTest
  @ValueSource(strings = {"\n", "\r\n", "\r"})
  void lineEnds_areAllUnderstood(String end) {
    String text =
        ": hi" + end + end + "data: {\"choices\":" + end + "data: [{\"text\":\"a\"}]}" + end;
    assertThat(feed(text)).isInstanceOf(StreamHead.Verdict.Silent.class);
    assertThat(feed(text + end)).isInstanceOf(StreamHead.Verdict.Speaks.class);
  }

  @Test
  void errorEvent_failsWithItsOwnStatusAndBody() {
    StreamHead.Verdict verdict = feed("data: {\"error\": {\"message\":\"x\",\"code\":429}}\n\n");
    assertThat(verdict)
        .isEqualTo(
            new StreamHead.Verdict.Fails(
                429, Buffer.buffer("{\"error\": {\"message\":\"x\",\"code\":429}}")));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"error\":\"x\"}",
        "{\"error\":{\"code\":\"odd\"}}",
        "{\"error\":{\"code\":200}}"
      })
  void errorWithoutAnHttpStatus_isABadGateway(String data) {
    assertThat(feed("data: " + data + "\n\n"))
        .isEqualTo(new StreamHead.Verdict.Fails(502, Buffer.buffer(data)));
  }

  @Test
  void tooMuchSilence_isPassedOn() {
    String silent = ": " + "x".repeat(StreamHead.MOST_HELD_BYTES) + "\n\n";
    assertThat(feed(silent)).isInstanceOf(StreamHead.Verdict.Speaks.class);
  }

  /** vLLM's own streams, cut into two pieces at every byte of their first events. */
  @ParameterizedTest
  @ValueSource(strings = {"d_leg.sse", "d_leg_chat.sse"})
  void recordedStream_isHeldUntilItsFirstTokenWhereverItIsCut(String name) throws IOException {
    byte[] all = recorded(name);
    int first = judge(all, all.length);
    assertThat(new String(all, 0, first, StandardCharsets.UTF_8)).endsWith("\n\n");
    for (int cut = 1; cut < first; cut++) {
      StreamHead head = new StreamHead();
      assertThat(head.feed(Buffer.buffer(all).slice(0, cut)))
          .isInstanceOf(StreamHead.Verdict.Silent.class);
      assertThat(head.feed(Buffer.buffer(all).slice(cut, first)))
          .isInstanceOf(StreamHead.Verdict.Speaks.class);
      assertThat(head.held()).isEqualTo(Buffer.buffer(all).slice(0, first));
    }
  }

  /** The first length at which the head lets go. */
  private static int judge(byte[] all, int most) {
    StreamHead head = new StreamHead();
    for (int at = 0; at < most; at++) {
      if (head.feed(Buffer.buffer(new byte[] {all[at]})) instanceof StreamHead.Verdict.Speaks) {
        return at + 1;
      }
    }
    throw new AssertionError("says nothing");
  }

  private static byte[] recorded(String name) throws IOException {
    try (var in = StreamHeadTest.class.getResourceAsStream("/vllm-0.32.0/" + name)) {
      return java.util.Objects.requireNonNull(in).readAllBytes();
    }
  }
}
