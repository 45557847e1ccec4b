package dev.millrace.simulator.http;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.millrace.simulator.core.HandOff;
import dev.millrace.simulator.model.Prediction.Candidate;
import dev.millrace.simulator.model.Vocabulary;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;

/** {@code /v1/chat/completions}. */
final class ChatWording extends Wording {
  ChatWording(Head head) {
    super(head);
  }

  @Override
  String chunkObject() {
    return "chat.completion.chunk";
  }

  @Override
  String opening(int index) {
    return event(json -> {
      writeHead(json, chunkObject());
      json.writeArrayFieldStart("choices");
      json.writeStartObject();
      json.writeNumberField("index", index);
      json.writeObjectFieldStart("delta");
      json.writeStringField("role", "assistant");
      json.writeStringField("content", "");
      json.writeEndObject();
      json.writeNullField("logprobs");
      json.writeNullField("finish_reason");
      json.writeEndObject();
      json.writeEndArray();
      if (returnsTokenIds()) {
        writeTokenIds(json, "prompt_token_ids", request().prompt(index).toArray());
      } else {
        json.writeNullField("prompt_token_ids");
      }
      json.writeNullField("prompt_text");
    });
  }

  @Override
  String tokenEvent(Piece piece) {
    return event(json -> {
      writeHead(json, chunkObject());
      json.writeArrayFieldStart("choices");
      json.writeStartObject();
      json.writeNumberField("index", piece.index());
      json.writeObjectFieldStart("delta");
      json.writeStringField("content", piece.text());
      json.writeEndObject();
      writeLogprobs(json, piece.offset(), List.of(piece.candidates()));
      writeFinish(json, piece.finish());
      if (piece.finish().isPresent()) {
        writeStopReason(json, piece.finish());
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
      writeHead(json, "chat.completion");
      json.writeArrayFieldStart("choices");
      for (Said said : choices) {
        json.writeStartObject();
        json.writeNumberField("index", said.index());
        json.writeObjectFieldStart("message");
        json.writeStringField("role", "assistant");
        json.writeStringField("content", said.text());
        json.writeNullField("refusal");
        json.writeNullField("annotations");
        json.writeNullField("audio");
        json.writeNullField("function_call");
        json.writeNullField("reasoning");
        json.writeEndObject();
        writeLogprobs(json, 0, said.likelihoods());
        writeFinish(json, Optional.of(said.finish()));
        writeStopReason(json, Optional.of(said.finish()));
        if (returnsTokenIds()) {
          writeTokenIds(
              json, "token_ids", said.tokens().stream().mapToInt(Integer::intValue).toArray());
        } else {
          json.writeNullField("token_ids");
        }
        json.writeNullField("routed_experts");
        json.writeEndObject();
      }
      json.writeEndArray();
      writeServiceAndUsage(json, usage);
      writePromptLogprobs(json, 0);
      if (returnsTokenIds()) {
        writeTokenIds(json, "prompt_token_ids", request().prompt(0).toArray());
      } else {
        json.writeNullField("prompt_token_ids");
      }
      json.writeNullField("prompt_text");
      writeTransfer(json, handOff);
    });
  }

  @Override
  void writeLikelihoods(JsonGenerator json, int offset, List<List<Candidate>> likelihoods)
      throws IOException {
    int alternatives = request().alternatives().orElse(0);
    json.writeArrayFieldStart("content");
    for (List<Candidate> candidates : likelihoods) {
      json.writeStartObject();
      writeCandidate(json, candidates.getFirst());
      json.writeArrayFieldStart("top_logprobs");
      // Where the token is none of the likeliest, it takes the place of the last of them.
      for (Candidate candidate : candidates.subList(0, alternatives)) {
        json.writeStartObject();
        writeCandidate(json, candidate);
        json.writeEndObject();
      }
      json.writeEndArray();
      json.writeEndObject();
    }
    json.writeEndArray();
  }

  private static void writeCandidate(JsonGenerator json, Candidate candidate) throws IOException {
    String text = Vocabulary.text(candidate.token());
    json.writeStringField("token", text);
    json.writeNumberField("logprob", candidate.logProbability());
    json.writeArrayFieldStart("bytes");
    for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
      json.writeNumber(b & 0xFF);
    }
    json.writeEndArray();
  }
}
