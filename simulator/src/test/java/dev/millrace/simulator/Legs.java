package dev.millrace.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.http.HttpResponse;

/** The two legs of a request, as a router sends them. */
final class Legs {
  static final String ASK_PREFILL =
      "{\"do_remote_decode\":true,\"do_remote_prefill\":false,\"remote_engine_id\":null,"
          + "\"remote_block_ids\":null,\"remote_host\":null,\"remote_port\":null}";

  private Legs() {}

  /** A prompt of so many tokens. */
  static String prompt(int tokens) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < tokens; i++) {
      text.append((char) ('a' + (i * 7 + i / 26) % 26));
    }
    return text.toString();
  }

  static String body(String prompt, int maxTokens) {
    return "{\"model\":\"tiny\",\"prompt\":\"" + prompt + "\",\"max_tokens\":" + maxTokens + "}";
  }

  static String with(String body, String key, String value) {
    return body.substring(0, body.length() - 1) + ",\"" + key + "\":" + value + "}";
  }

  /** The prefill leg; returns the parameters for the decode leg. */
  static String prefill(SimulatedEngine engine, String prompt) {
    HttpResponse<String> answer =
        Caller.complete(engine, with(body(prompt, 1), "kv_transfer_params", ASK_PREFILL));
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    return Json.raw(answer.body(), "kv_transfer_params");
  }

  /** The decode leg. */
  static HttpResponse<String> decode(
      SimulatedEngine engine, String prompt, int maxTokens, String params) {
    return Caller.complete(engine, with(body(prompt, maxTokens), "kv_transfer_params", params));
  }

  /** Both legs; returns the text. */
  static String disaggregated(
      SimulatedEngine prefill, SimulatedEngine decode, String prompt, int maxTokens) {
    HttpResponse<String> answer = decode(decode, prompt, maxTokens, prefill(prefill, prompt));
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    return text(answer);
  }

  /** What one engine says by itself. */
  static String aggregated(SimulatedEngine engine, String prompt, int maxTokens) {
    HttpResponse<String> answer = Caller.complete(engine, body(prompt, maxTokens));
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    return text(answer);
  }

  static String text(HttpResponse<String> answer) {
    return Json.at(answer.body(), "choices[].text");
  }
}
