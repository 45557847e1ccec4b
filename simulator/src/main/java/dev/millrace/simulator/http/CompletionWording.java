package dev.millrace.simulator.http;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.millrace.simulator.core.HandOff;
import dev.millrace.simulator.model.Prediction.Candidate;
import dev.millrace.simulator.model.Vocabulary;
import java.io.IOException;
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
      writeLogprobs(json, piece.offset(), List.of(piece.candidates()));
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
        writeLogprobs(json, 0, said.likelihoods());
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

  @Override
  void writeLikelihoods(JsonGenerator json, int offset, List<List<Candidate>> likelihoods)
      throws IOException {
    json.writeArrayFieldStart("text_offset");
    int next = offset;
    for (List<Candidate> candidates : likelihoods) {
      json.writeNumber(next);
      next += Vocabulary.text(candidates.getFirst().token()).length();
    }
    json.writeEndArray();
    json.writeArrayFieldStart("token_logprobs");
    for (List<Candidate> candidates : likelihoods) {
      json.writeNumber(candidates.getFirst().logProbability());
    }
    json.writeEndArray();
    json.writeArrayFieldStart("tokens");
    for (List<Candidate> candidates : likelihoods) {
      json.writeString(Vocabulary.text(candidates.getFirst().token()));
    }
    json.writeEndArray();
    json.writeArrayFieldStart("top_logprobs");
    for (List<Candidate> candidates : likelihoods) {
      json.writeStartObject();
      for (Candidate candidate : candidates) {
        json.writeNumberField(Vocabulary.text(candidate.token()), candidate.logProbability());
      }
      json.writeEndObject();
    }
    json.writeEndArray();
  }
}
