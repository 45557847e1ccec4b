package dev.millrace.simulator.http;

import dev.millrace.simulator.core.HandOff;
import java.util.List;
import java.util.Optional;

/** {@code /v1/completions}. */
final class CompletionWording extends Wording {
  CompletionWording(Head head) {
    super(head);
  }

  @Override
  String chunkObject() {
    return "text_completion";
  }

  @Override
  String opening(int index) {
    return "";
  }

  @Override
  String tokenEvent(Piece piece) {
    return event(json -> {
      writeHead(json, chunkObject());
      json.writeArrayFieldStart("choices");
      json.writeStartObject();
      json.writeNumberField("index", piece.index());
      json.writeStringField("text", piece.text());
      json.writeNullField("logprobs");
      writeFinish(json, piece.finish());
      writeStopReason(json, piece.finish());
      if (returnsTokenIds() && piece.isFirst()) {
        writeTokenIds(json, "prompt_token_ids", request().prompt().toArray());
      } else {
        json.writeNullField("prompt_token_ids");
      }
      if (returnsTokenIds()) {
        writeTokenIds(json, "token_ids", new int[] {piece.token()});
      } else {
        json.writeNullField("token_ids");
      }
      json.writeEndObject();
      json.writeEndArray();
    });
  }

  @Override
  String body(List<Said> choices, Usage usage, Optional<HandOff> handOff) {
    return object(json -> {
      writeHead(json, "text_completion");
      json.writeArrayFieldStart("choices");
      for (Said said : choices) {
        json.writeStartObject();
        json.writeNumberField("index", said.index());
        json.writeStringField("text", said.text());
        json.writeNullField("logprobs");
        writeFinish(json, Optional.of(said.finish()));
        writeStopReason(json, Optional.of(said.finish()));
        if (returnsTokenIds()) {
          writeTokenIds(
              json, "token_ids", said.tokens().stream().mapToInt(Integer::intValue).toArray());
        } else {
          json.writeNullField("token_ids");
        }
        json.writeNullField("prompt_logprobs");
        if (returnsTokenIds()) {
          writeTokenIds(json, "prompt_token_ids", request().prompt().toArray());
        } else {
          json.writeNullField("prompt_token_ids");
        }
        json.writeNullField("routed_experts");
        json.writeEndObject();
      }
      json.writeEndArray();
      writeServiceAndUsage(json, usage);
      writeTransfer(json, handOff);
    });
  }
}
