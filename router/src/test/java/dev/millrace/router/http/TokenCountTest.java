package dev.millrace.router.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.vertx.core.buffer.Buffer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class TokenCountTest {
  private static final long GUESSED = 7;

  private static String recorded(String name) {
    try (var in = TokenCountTest.class.getResourceAsStream("/vllm-0.32.0/" + name)) {
      if (in == null) {
        throw new AssertionError("no recording " + name);
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static TokenCount ofWhole(String body) {
    TokenCount count = new TokenCount(GUESSED);
    count.whole(Buffer.buffer(body));
    return count;
  }

  private static TokenCount ofStream(String text, int pieces) {
    TokenCount count = new TokenCount(GUESSED);
    Buffer all = Buffer.buffer(text);
    int size = Math.max(1, all.length() / pieces);
    for (int at = 0; at < all.length(); at += size) {
      count.look(all.getBuffer(at, Math.min(all.length(), at + size)));
    }
    return count;
  }

  @Test
  void recordedAnswer_saysIt() {
    TokenCount count = ofWhole(recorded("d_leg_chat.json"));

    assertThat(count.prompt()).isEqualTo(65);
    assertThat(count.answer()).isEqualTo(24);
  }

  @Test
  void recordedStream_saysItInItsLastEvent() {
    TokenCount count = ofStream(recorded("d_leg_chat.sse"), 1);

    assertThat(count.prompt()).isEqualTo(65);
    assertThat(count.answer()).isEqualTo(24);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '\0',
      value = {
        "{\"usage\":{\"input_tokens\":9,\"input_tokens_details\":{\"cached_tokens\":5},\"output_tokens\":4}}|9|4",
        "{\"usage\": {\"prompt_tokens\" : 3,\"total_tokens\":3}}|3|0",
        "{\"usage\":null}|7|0",
        "{\"choices\":[{\"text\":\"\\\"usage\\\":{\\\"prompt_tokens\\\":99}\"}]}|7|0",
        "plain text|7|0",
      })
  void wholeAnswers(String body, long prompt, long answer) {
    TokenCount count = ofWhole(body);

    assertThat(count.prompt()).isEqualTo(prompt);
    assertThat(count.answer()).isEqualTo(answer);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 7, 1000})
  void streamThatDoesNotSay_hasATokenPerEvent(int pieces) {
    String text =
        "data: {\"choices\":[{\"text\":\"\\\"usage\\\":{\\\"completion_tokens\\\":99}\"}],\"usage\":null}\n\n"
            .repeat(20);

    TokenCount count = ofStream(text, pieces);

    assertThat(count.prompt()).isEqualTo(GUESSED);
    assertThat(count.answer()).isEqualTo(20);
    assertThat(ofStream(text.replace("\n", "\r\n"), pieces).answer()).isEqualTo(20);
  }

  @Test
  void streamOfMessages_saysItInTwoEvents() {
    String start =
        "event: message_start\ndata: {\"message\":{\"usage\":{\"input_tokens\":12,\"output_tokens\":0}}}";
    String delta = "event: content_block_delta\ndata: {}";
    String end = "event: message_delta\ndata: {\"usage\":{\"output_tokens\":31}}";

    TokenCount count = ofStream(String.join("\n\n", start, delta, end, ""), 1);

    assertThat(count.prompt()).isEqualTo(12);
    assertThat(count.answer()).isEqualTo(31);
  }

  @ParameterizedTest
  @CsvSource({"0, 1", "1, 1", "4, 1", "5, 2", "4000, 1000"})
  void guess_isAQuarterOfTheBytes(long bytes, long tokens) {
    assertThat(TokenCount.ofPrompt(bytes)).isEqualTo(tokens);
  }
}
