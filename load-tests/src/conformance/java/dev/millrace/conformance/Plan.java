package dev.millrace.conformance;

import java.util.Map;

/**
 * Where everything is.
 *
 * @param router where Millrace's public port is
 * @param recorder where it can be asked what engines got of an exchange
 * @param engines by model, one engine that computes everything
 */
record Plan(String router, String recorder, Map<String, String> engines) {
  static final String CHAT = "/v1/chat/completions";
  static final String COMPLETIONS = "/v1/completions";
  static final String RESPONSES = "/v1/responses";

  /**
   * One case.
   *
   * @param id of the exchange, as {@code x-request-id}
   * @param kind which of the checks
   * @param stream whether the answer is streamed
   */
  record Planned(String id, String kind, String api, boolean stream, String model) {
    Planned ofModel(String other) {
      return new Planned(id, kind, api, stream, other);
    }

    /** What a user says. */
    String text() {
      return "Mills of " + id + " é";
    }
  }
}
