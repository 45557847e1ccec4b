package dev.millrace.router;

import dev.millrace.router.ScriptedEngine.Script;
import java.util.concurrent.CountDownLatch;

/** What engines do, for most tests. */
final class Scripts {
  static final String PARAMETERS =
      "{\"do_remote_prefill\":true,\"do_remote_decode\":false,\"remote_block_ids\":[[268,269]],"
          + "\"remote_engine_id\":\"e\",\"remote_request_id\":\"r\",\"remote_host\":\"127.0.0.1\","
          + "\"remote_port\":28111,\"tp_size\":1, \"unknown\" : 1e0 }";

  static final String PREFILLED =
      "{\"id\":\"x\",\"choices\":[{\"text\":\"\"}],\"kv_transfer_params\":" + PARAMETERS + "}";

  static final String ANSWER =
      "{\"id\":\"x\",\"choices\":[{\"index\":0,\"text\":\" w1\"}],\"kv_transfer_params\":null}";

  static final String EVENT = "data: {\"choices\":[{\"index\":0,\"text\":\" w1\"}]}\n\n";
  static final String ROLE =
      "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
          + "\"logprobs\":null,\"finish_reason\":null}]}\n\n";
  static final String DONE = "data: [DONE]\n\n";

  static final String ERROR_BODY =
      "{\"error\": {\"message\": \"Internal server error\", \"type\": \"InternalServerError\","
          + " \"param\": null, \"code\": 500}}";

  private Scripts() {}

  /** A prefill engine that holds blocks. */
  static Script prefill() {
    return (request, wire) -> wire.answer(200, PREFILLED);
  }

  /** A decode engine; refuses what a release asks for, as vLLM does. */
  static Script decode() {
    return butForReleases((request, wire) -> {
      if (request.text().contains("\"stream\":true")) {
        wire.streamHead().chunk(EVENT).chunk(EVENT).chunk(DONE).endChunks();
      } else {
        wire.answer(200, ANSWER);
      }
    });
  }

  /** A decode engine that begins once it may. */
  static Script decodeAfter(CountDownLatch go) {
    return (request, wire) -> {
      go.await();
      decode().play(request, wire);
    };
  }

  /** Refuses what a release asks for, as vLLM does, and does something else with the rest. */
  static Script butForReleases(Script otherwise) {
    return (request, wire) -> {
      if (request.text().contains("\"min_tokens\":2,")) {
        wire.answer(400, Stage.recorded("error_reject.json"));
      } else {
        otherwise.play(request, wire);
      }
    };
  }

  /** An error of the engine. */
  static Script error(int status) {
    return (request, wire) -> wire.answer(status, ERROR_BODY);
  }

  /** A request for a text, streamed. */
  static String streamed() {
    return "{\"model\":\"tiny\",\"prompt\":\"a\",\"max_tokens\":3,\"stream\":true}";
  }

  /** A request for a text in one piece. */
  static String whole() {
    return "{\"model\":\"tiny\",\"prompt\":\"a\",\"max_tokens\":3}";
  }
}
