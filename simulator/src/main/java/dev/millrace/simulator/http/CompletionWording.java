package dev.millrace.simulator.http;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.millrace.simulator.core.HandOff;
import dev.millrace.simulator.model.Prediction.Candidate;
import dev.millrace.simulator.model.Vocabulary;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

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
        writeTokenIds(json, "prompt_token_ids", request().prompt(piece.index()).toArray());
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

  private String echo(int answer) {
    if (request().echo() == CompletionRequest.Echo.NO) {
      return "";
    }
    StringBuilder text = new StringBuilder();
    for (int token : request().prompt(answer).toArray()) {
      text.append(Vocabulary.text(token));
    }
    return text.toString();
  }

  private String spoken(Said said) {
    return request().echo() == CompletionRequest.Echo.ALONE ? "" : said.text();
  }

  private List<List<Candidate>> likelihoods(Said said) {
    return switch (request().echo()) {
      case NO -> said.likelihoods();
      case ALONE -> promptLikelihoods(said.index());
      case BEFORE ->
          Stream.concat(promptLikelihoods(said.index()).stream(), said.likelihoods().stream())
              .toList();
    };
  }

  @Override
  String body(List<Said> choices, Usage usage, Optional<HandOff> handOff) {
    return object(json -> {
      writeHead(json, "text_completion");
      json.writeArrayFieldStart("choices");
      for (Said said : choices) {
        json.writeStartObject();
        json.writeNumberField("index", said.index());
        json.writeStringField("text", echo(said.index()) + spoken(said));
        writeLogprobs(json, 0, likelihoods(said));
        writeFinish(json, Optional.of(said.finish()));
        writeStopReason(json, Optional.of(said.finish()));
        if (returnsTokenIds()) {
          writeTokenIds(
              json, "token_ids", said.tokens().stream().mapToInt(Integer::intValue).toArray());
        } else {
          json.writeNullField("token_ids");
        }
        writePromptLogprobs(json, said.index());
        if (returnsTokenIds()) {
          writeTokenIds(json, "prompt_token_ids", request().prompt(said.index()).toArray());
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
      double logProbability = candidates.getFirst().logProbability();
      if (Double.isNaN(logProbability)) {
        json.writeNull();
      } else {
        json.writeNumber(logProbability);
      }
    }
    json.writeEndArray();
    json.writeArrayFieldStart("tokens");
    for (List<Candidate> candidates : likelihoods) {
      json.writeString(Vocabulary.text(candidates.getFirst().token()));
    }
    json.writeEndArray();
    json.writeArrayFieldStart("top_logprobs");
    for (List<Candidate> candidates : likelihoods) {
      if (Double.isNaN(candidates.getFirst().logProbability())) {
        json.writeNull();
        continue;
      }
      json.writeStartObject();
      for (Candidate candidate : candidates) {
        json.writeNumberField(Vocabulary.text(candidate.token()), candidate.logProbability());
      }
      json.writeEndObject();
    }
    json.writeEndArray();
  }
}
