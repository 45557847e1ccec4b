package dev.millrace.simulator.http;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.millrace.simulator.core.HandOff;
import dev.millrace.simulator.model.Prediction.Candidate;
import java.io.IOException;
import java.util.List;
import java.util.Optional;

/**
 * {@code /v1/responses}: events have names and numbers, the last one has the whole answer, and
 * there is no {@code [DONE]} (vLLM 0.32.0, {@code OpenAIServingResponses}).
 */
final class ResponsesWording extends Wording {
  private final String item;
  private int events;

  ResponsesWording(Head head) {
    super(head);
    this.item = "msg_" + head.id().substring("resp_".length());
  }

  @Override
  String chunkObject() {
    return "response";
  }

  private String numbered(String name, Writing content) {
    int number = events++;
    return event(
        name,
        json -> {
          content.to(json);
          json.writeNumberField("sequence_number", number);
          json.writeStringField("type", name);
        });
  }

  @Override
  String opening(int index) {
    Writing begun =
        json -> {
          json.writeObjectFieldStart("response");
          writeResponse(json, "in_progress", List.of(), Optional.empty(), Optional.empty());
          json.writeEndObject();
        };
    return numbered("response.created", begun) + numbered("response.in_progress", begun);
  }

  @Override
  String tokenEvent(Piece piece) {
    if (piece.isFirst()) {
      return itemAdded() + partAdded() + tokenEvent(piece.withPosition(1));
    }
    return numbered(
        "response.output_text.delta",
        json -> {
          json.writeNumberField("content_index", 0);
          json.writeStringField("delta", piece.text());
          json.writeStringField("item_id", item);
          json.writeArrayFieldStart("logprobs");
          json.writeEndArray();
          json.writeNumberField("output_index", 0);
        });
  }

  private String itemAdded() {
    return numbered(
        "response.output_item.added",
        json -> {
          json.writeObjectFieldStart("item");
          json.writeStringField("id", item);
          json.writeArrayFieldStart("content");
          json.writeEndArray();
          json.writeStringField("role", "assistant");
          json.writeStringField("status", "in_progress");
          json.writeStringField("type", "message");
          json.writeEndObject();
          json.writeNumberField("output_index", 0);
        });
  }

  private String partAdded() {
    return numbered(
        "response.content_part.added",
        json -> {
          json.writeNumberField("content_index", 0);
          json.writeStringField("item_id", item);
          json.writeNumberField("output_index", 0);
          json.writeObjectFieldStart("part");
          writeText(json, "");
          json.writeEndObject();
        });
  }

  @Override
  boolean repeatsItself() {
    return false;
  }

  @Override
  String closing(List<Said> choices, Usage usage, Optional<HandOff> handOff) {
    String text = choices.getFirst().text();
    String textDone =
        numbered(
            "response.output_text.done",
            json -> {
              json.writeNumberField("content_index", 0);
              json.writeStringField("item_id", item);
              json.writeNumberField("output_index", 0);
              json.writeStringField("text", text);
            });
    String itemDone =
        numbered(
            "response.output_item.done",
            json -> {
              json.writeFieldName("item");
              writeItem(json, choices.getFirst());
              json.writeNumberField("output_index", 0);
            });
    return textDone
        + itemDone
        + numbered(
            "response.completed",
            json -> {
              json.writeObjectFieldStart("response");
              writeResponse(json, status(choices), choices, Optional.of(usage), handOff);
              json.writeEndObject();
            });
  }

  /** vLLM's error is none of the events that its own stream may have, and it breaks off. */
  @Override
  Optional<String> failing(ErrorBody error) {
    return Optional.empty();
  }

  @Override
  String body(List<Said> choices, Usage usage, Optional<HandOff> handOff) {
    return object(
        json -> writeResponse(json, status(choices), choices, Optional.of(usage), handOff));
  }

  private static String status(List<Said> choices) {
    return choices.getFirst().finish().reason().equals("length") ? "incomplete" : "completed";
  }

  private void writeResponse(
      JsonGenerator json,
      String status,
      List<Said> choices,
      Optional<Usage> usage,
      Optional<HandOff> handOff)
      throws IOException {
    json.writeStringField("id", head().id());
    json.writeNumberField("created_at", head().created());
    if (status.equals("incomplete")) {
      json.writeObjectFieldStart("incomplete_details");
      json.writeStringField("reason", "max_output_tokens");
      json.writeEndObject();
    } else {
      json.writeNullField("incomplete_details");
    }
    json.writeStringField("model", head().model());
    json.writeStringField("object", "response");
    json.writeArrayFieldStart("output");
    for (Said said : choices) {
      writeItem(json, said);
    }
    json.writeEndArray();
    json.writeBooleanField("parallel_tool_calls", true);
    json.writeNumberField("temperature", 1.0);
    json.writeStringField("tool_choice", "auto");
    json.writeArrayFieldStart("tools");
    json.writeEndArray();
    json.writeNumberField("top_p", 1.0);
    json.writeBooleanField("background", false);
    json.writeNumberField("max_output_tokens", request().maxTokens());
    json.writeStringField("service_tier", "auto");
    json.writeStringField("status", status);
    json.writeStringField("truncation", "disabled");
    if (usage.isPresent()) {
      writeUsage(json, usage.get());
    } else {
      json.writeNullField("usage");
    }
    if (handOff.isPresent()) {
      json.writeFieldName("kv_transfer_params");
      TransferParamsWriter.write(handOff.get(), json);
    } else {
      json.writeNullField("kv_transfer_params");
    }
    json.writeNullField("ec_transfer_params");
  }

  private void writeItem(JsonGenerator json, Said said) throws IOException {
    json.writeStartObject();
    json.writeStringField("id", item);
    json.writeArrayFieldStart("content");
    json.writeStartObject();
    writeText(json, said.text());
    json.writeEndObject();
    json.writeEndArray();
    json.writeStringField("role", "assistant");
    json.writeStringField("status", "completed");
    json.writeStringField("type", "message");
    json.writeEndObject();
  }

  private static void writeText(JsonGenerator json, String text) throws IOException {
    json.writeArrayFieldStart("annotations");
    json.writeEndArray();
    json.writeStringField("text", text);
    json.writeStringField("type", "output_text");
    json.writeNullField("logprobs");
  }

  private static void writeUsage(JsonGenerator json, Usage usage) throws IOException {
    json.writeObjectFieldStart("usage");
    json.writeNumberField("input_tokens", usage.promptTokens());
    json.writeObjectFieldStart("input_tokens_details");
    json.writeNumberField("cached_tokens", 0);
    json.writeNumberField("cache_write_tokens", 0);
    writeNoTurns(json, "input_tokens_per_turn");
    writeNoTurns(json, "cached_tokens_per_turn");
    json.writeEndObject();
    json.writeNumberField("output_tokens", usage.completionTokens());
    json.writeObjectFieldStart("output_tokens_details");
    json.writeNumberField("reasoning_tokens", 0);
    json.writeNumberField("tool_output_tokens", 0);
    writeNoTurns(json, "output_tokens_per_turn");
    writeNoTurns(json, "tool_output_tokens_per_turn");
    json.writeEndObject();
    json.writeNumberField("total_tokens", usage.promptTokens() + usage.completionTokens());
    json.writeEndObject();
  }

  /** Turns are counted where the engine uses tools by itself (vLLM 0.32.0, {@code context.py}). */
  private static void writeNoTurns(JsonGenerator json, String key) throws IOException {
    json.writeArrayFieldStart(key);
    json.writeEndArray();
  }

  @Override
  void writeLikelihoods(JsonGenerator json, int offset, List<List<Candidate>> likelihoods) {
    throw new UnsupportedOperationException("simulated responses have no log-probabilities");
  }
}
