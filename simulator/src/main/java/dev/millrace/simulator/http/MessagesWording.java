package dev.millrace.simulator.http;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.millrace.simulator.core.HandOff;
import dev.millrace.simulator.model.Prediction.Candidate;
import java.io.IOException;
import java.util.List;
import java.util.Optional;

/**
 * {@code /v1/messages}: vLLM makes a chat of the request, and an answer in Anthropic's form of the
 * chat's (0.32.0, {@code AnthropicServingMessages}). Nulls are left out of a whole answer.
 */
final class MessagesWording extends Wording {
  MessagesWording(Head head) {
    super(head);
  }

  @Override
  String chunkObject() {
    return "message";
  }

  @Override
  String opening(int index) {
    return event(
        "message_start",
        json -> {
          json.writeStringField("type", "message_start");
          json.writeObjectFieldStart("message");
          writeMessageHead(json);
          json.writeArrayFieldStart("content");
          json.writeEndArray();
          json.writeStringField("model", head().model());
          json.writeNullField("stop_reason");
          json.writeNullField("stop_sequence");
          writeUsage(json, new Usage(0, 0));
          json.writeEndObject();
        });
  }

  @Override
  String tokenEvent(Piece piece) {
    String delta =
        event(
            "content_block_delta",
            json -> {
              json.writeStringField("type", "content_block_delta");
              json.writeObjectFieldStart("delta");
              json.writeStringField("type", "text_delta");
              json.writeStringField("text", piece.text());
              json.writeEndObject();
              json.writeNumberField("index", 0);
            });
    return piece.isFirst() ? blockStart() + delta : delta;
  }

  private static String blockStart() {
    return event(
        "content_block_start",
        json -> {
          json.writeStringField("type", "content_block_start");
          json.writeObjectFieldStart("content_block");
          json.writeStringField("type", "text");
          json.writeStringField("text", "");
          json.writeEndObject();
          json.writeNumberField("index", 0);
        });
  }

  @Override
  boolean repeatsItself() {
    return false;
  }

  @Override
  String closing(List<Said> choices, Usage usage, Optional<HandOff> handOff) {
    String blockStop =
        event(
            "content_block_stop",
            json -> {
              json.writeStringField("type", "content_block_stop");
              json.writeNumberField("index", 0);
            });
    String delta =
        event(
            "message_delta",
            json -> {
              json.writeStringField("type", "message_delta");
              json.writeObjectFieldStart("delta");
              writeStop(json, choices.getFirst().finish());
              json.writeEndObject();
              writeUsage(json, usage);
            });
    return blockStop
        + delta
        + event("message_stop", json -> json.writeStringField("type", "message_stop"));
  }

  @Override
  Optional<String> failing(ErrorBody error) {
    return Optional.of("event: error\ndata: " + error.body(request().api()) + "\n\n");
  }

  @Override
  String body(List<Said> choices, Usage usage, Optional<HandOff> handOff) {
    Said said = choices.getFirst();
    return object(json -> {
      writeMessageHead(json);
      json.writeArrayFieldStart("content");
      json.writeStartObject();
      json.writeStringField("type", "text");
      json.writeStringField("text", said.text());
      json.writeEndObject();
      json.writeEndArray();
      json.writeStringField("model", head().model());
      writeStop(json, said.finish());
      writeUsage(json, usage);
      if (handOff.isPresent()) {
        json.writeFieldName("kv_transfer_params");
        TransferParamsWriter.write(handOff.get(), json);
      }
    });
  }

  private void writeMessageHead(JsonGenerator json) throws IOException {
    json.writeStringField("id", head().id());
    json.writeStringField("type", "message");
    json.writeStringField("role", "assistant");
  }

  private static void writeStop(JsonGenerator json, Finish finish) throws IOException {
    String stop = finish.stopReason();
    if (finish.reason().equals("length")) {
      json.writeStringField("stop_reason", "max_tokens");
    } else {
      json.writeStringField("stop_reason", stop == null ? "end_turn" : "stop_sequence");
    }
    if (stop != null) {
      json.writeStringField("stop_sequence", stop);
    }
  }

  private static void writeUsage(JsonGenerator json, Usage usage) throws IOException {
    json.writeObjectFieldStart("usage");
    json.writeNumberField("input_tokens", usage.promptTokens());
    json.writeNumberField("output_tokens", usage.completionTokens());
    json.writeEndObject();
  }

  @Override
  void writeLikelihoods(JsonGenerator json, int offset, List<List<Candidate>> likelihoods) {
    throw new UnsupportedOperationException("messages have no log-probabilities");
  }
}
