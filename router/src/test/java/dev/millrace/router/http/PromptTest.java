package dev.millrace.router.http;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Which bytes of a body are its prompt, in the order in which engines render them. */
final class PromptTest {
  private static ClientRequest read(Api api, String body) {
    byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
    return (ClientRequest) ClientRequest.read(api, bytes, bytes.length);
  }

  private static String parts(Prompt prompt) {
    StringBuilder parts = new StringBuilder();
    prompt.read((text, from, to) ->
        parts.append(new String(text, from, to - from, StandardCharsets.UTF_8)).append(' '));
    return parts.toString().strip();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          COMPLETIONS      | {"model":"m","prompt":"a b","suffix":"c"}                            | "a b" | 5
          CHAT_COMPLETIONS | {"messages":[ {"role":"user"} ],"model":"m","tools":[1]}             | [1] [ {"role":"user"} ] | 22
          RESPONSES        | {"input":"é","instructions":"be brief","model":"m"}                  | "be brief" "é" | 14
          MESSAGES         | {"max_tokens":1,"messages":[2],"model":"m","system":"s","tools":[1]} | "s" [1] [2] | 9
          EMBEDDINGS       | {"model":"m","input":"a"}                                            | '' | 0
          """)
  void prompt_isWhatEnginesMakeItOf(Api api, String body, String expected, long bytes) {
    Prompt prompt = read(api, body).prompt();

    assertThat(parts(prompt)).isEqualTo(expected);
    assertThat(prompt.bytes()).isEqualTo(bytes);
  }

  @Test
  void text_isTheLastOfItsName_atTheTop() {
    ClientRequest request =
        read(
            Api.CHAT_COMPLETIONS,
            "{\"model\":\"m\",\"user\":\"a\",\"messages\":[{\"user\":\"b\"}],\"\\u0075ser\":\"c\",\"n\":1}");

    assertThat(request.text("user")).contains("c");
    assertThat(request.text("n")).isEmpty();
    assertThat(request.text("session_id")).isEmpty();
  }

  @Test
  void text_ofAForm_isNotLookedFor() {
    byte[] form = "--x\r\n".getBytes(StandardCharsets.UTF_8);

    assertThat(
            ClientRequest.opaque(Api.TRANSCRIPTIONS, form, form.length, Optional.empty())
                .text("user"))
        .isEmpty();
  }
}
