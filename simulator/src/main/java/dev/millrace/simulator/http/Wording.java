package dev.millrace.simulator.http;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.io.JsonStringEncoder;
import dev.millrace.simulator.cache.Sequence;
import dev.millrace.simulator.core.HandOff;
import dev.millrace.simulator.model.Prediction;
import dev.millrace.simulator.model.Prediction.Candidate;
import dev.millrace.simulator.model.Vocabulary;
import java.io.IOException;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * The JSON of one API's answers: keys, order and types as vLLM 0.32.0 sends them, nulls included.
 */
abstract sealed class Wording
    permits CompletionWording, ChatWording, ResponsesWording, MessagesWording {
  /** The end of every stream. */
  static final String DONE = "data: [DONE]\n\n";

  private static final JsonFactory JSON = new JsonFactory();

  private final Head head;
  private @Nullable Template template;

  /** What all JSON of one answer has in common. */
  record Head(
      String id, long created, String model, String fingerprint, CompletionRequest request) {}

  /** Why a choice ended. */
  record Finish(String reason, @Nullable String stopReason) {
    static final Finish LENGTH = new Finish("length", null);
  }

  /**
   * One finished choice.
   *
   * @param likelihoods per token, itself and the likeliest; empty lists where nobody asked
   */
  record Said(
      int index,
      String text,
      List<Integer> tokens,
      List<List<Candidate>> likelihoods,
      Finish finish) {}

  /** Token counts of all choices together. */
  record Usage(int promptTokens, int completionTokens) {}

  /** Something that writes JSON. */
  interface Writing {
    void to(JsonGenerator json) throws IOException;
  }

  Wording(Head head) {
    this.head = head;
  }

  static Wording of(Head head) {
    return switch (head.request().api()) {
      case COMPLETIONS -> new CompletionWording(head);
      case CHAT -> new ChatWording(head);
      case RESPONSES -> new ResponsesWording(head);
      case MESSAGES -> new MessagesWording(head);
    };
  }

  /** The events before a choice's first token, or before the error that comes instead. */
  abstract String opening(int index);

  /** What ends a stream. */
  String closing(List<Said> choices, Usage usage, Optional<HandOff> handOff) {
    return (request().delivery() == CompletionRequest.Delivery.STREAM_WITH_USAGE
            ? usage(usage)
            : "")
        + DONE;
  }

  /** What ends a stream that fails; empty where vLLM breaks the connection off (0.32.0). */
  Optional<String> failing(ErrorBody error) {
    return Optional.of(error.event() + DONE);
  }

  /** Whether events between the first and the last of a choice differ by their texts alone. */
  boolean repeatsItself() {
    return true;
  }

  /** The event of one token. */
  final String token(Piece piece) {
    if (!repeatsItself()
        || piece.isFirst()
        || piece.finish().isPresent()
        || returnsTokenIds()
        || returnsLogprobs()) {
      return tokenEvent(piece);
    }
    if (template == null || template.index() != piece.index()) {
      template = Template.of(piece.index(), tokenEvent(piece.withText(Template.MARK)));
    }
    return template.event(piece.text());
  }

  abstract String tokenEvent(Piece piece);

  /** An event between the first and the last of a choice: only its text differs from the next. */
  private record Template(int index, String before, String after) {
    /** The last occurrence is the text: nothing that a client chooses stands behind it. */
    static final String MARK = "@@@";

    static Template of(int index, String event) {
      int at = event.lastIndexOf(MARK);
      return new Template(index, event.substring(0, at), event.substring(at + MARK.length()));
    }

    String event(String text) {
      return before + new String(JsonStringEncoder.getInstance().quoteAsString(text)) + after;
    }
  }

  /**
   * One token on its way into a stream.
   *
   * @param offset characters of the choice's text that went before
   * @param candidates the token itself and the likeliest; empty where nobody asked
   */
  record Piece(
      int index,
      int position,
      int offset,
      String text,
      int token,
      List<Candidate> candidates,
      Optional<Finish> finish) {
    boolean isFirst() {
      return position == 0;
    }

    Piece withPosition(int other) {
      return new Piece(index, other, offset, text, token, candidates, finish);
    }

    Piece withText(String other) {
      return new Piece(index, position, offset, other, token, candidates, finish);
    }
  }

  /** The body of an answer that is not streamed. */
  abstract String body(List<Said> choices, Usage usage, Optional<HandOff> handOff);

  /** The event with the token counts. */
  String usage(Usage usage) {
    return event(json -> {
      writeHead(json, chunkObject());
      json.writeArrayFieldStart("choices");
      json.writeEndArray();
      json.writeObjectFieldStart("usage");
      writeCounts(json, usage);
      json.writeEndObject();
      json.writeStringField("system_fingerprint", head.fingerprint());
    });
  }

  /** What the model thought of the tokens of an answer's prompt; empty if nobody asked. */
  final List<List<Candidate>> promptLikelihoods(int answer) {
    OptionalInt alternatives = request().promptAlternatives();
    if (alternatives.isEmpty()) {
      return List.of();
    }
    int[] prompt = request().prompt(answer).toArray();
    long[] prefixes = Sequence.prefixes(request().model(), prompt);
    return Prediction.ofPrompt(prompt, prefixes, alternatives.getAsInt());
  }

  /** The value of {@code prompt_logprobs}. */
  final void writePromptLogprobs(JsonGenerator json, int answer) throws IOException {
    List<List<Candidate>> likelihoods = promptLikelihoods(answer);
    if (likelihoods.isEmpty()) {
      json.writeNullField("prompt_logprobs");
      return;
    }
    json.writeArrayFieldStart("prompt_logprobs");
    json.writeNull();
    for (List<Candidate> candidates : likelihoods.subList(1, likelihoods.size())) {
      json.writeStartObject();
      int rank = 0;
      for (Candidate candidate : candidates) {
        json.writeObjectFieldStart(String.valueOf(candidate.token()));
        json.writeNumberField("logprob", candidate.logProbability());
        json.writeNumberField("rank", ++rank);
        json.writeStringField("decoded_token", Vocabulary.text(candidate.token()));
        json.writeEndObject();
      }
      json.writeEndObject();
    }
    json.writeEndArray();
  }

  /** The value of {@code object} in stream events. */
  abstract String chunkObject();

  CompletionRequest request() {
    return head.request();
  }

  final boolean returnsTokenIds() {
    return head.request().tokenIds() == CompletionRequest.TokenIds.RETURN;
  }

  final boolean returnsLogprobs() {
    return head.request().alternatives().isPresent();
  }

  /**
   * The value of {@code logprobs}: null if nobody asked.
   *
   * @param offset characters of the choice's text before the first of these tokens
   * @param likelihoods per token, itself and the likeliest
   */
  final void writeLogprobs(JsonGenerator json, int offset, List<List<Candidate>> likelihoods)
      throws IOException {
    if (!returnsLogprobs()) {
      json.writeNullField("logprobs");
      return;
    }
    json.writeObjectFieldStart("logprobs");
    writeLikelihoods(json, offset, likelihoods);
    json.writeEndObject();
  }

  abstract void writeLikelihoods(JsonGenerator json, int offset, List<List<Candidate>> likelihoods)
      throws IOException;

  final void writeHead(JsonGenerator json, String object) throws IOException {
    json.writeStringField("id", head.id());
    json.writeStringField("object", object);
    json.writeNumberField("created", head.created());
    json.writeStringField("model", head.model());
  }

  final void writeServiceAndUsage(JsonGenerator json, Usage usage) throws IOException {
    json.writeNullField("service_tier");
    json.writeStringField("system_fingerprint", head.fingerprint());
    json.writeObjectFieldStart("usage");
    writeCounts(json, usage);
    json.writeNullField("prompt_tokens_details");
    json.writeNullField("completion_tokens_details");
    json.writeEndObject();
  }

  final void writeTransfer(JsonGenerator json, Optional<HandOff> handOff) throws IOException {
    if (handOff.isPresent()) {
      json.writeFieldName("kv_transfer_params");
      TransferParamsWriter.write(handOff.get(), json);
    } else {
      json.writeNullField("kv_transfer_params");
    }
    json.writeNullField("ec_transfer_params");
    json.writeNullField("metrics");
  }

  final void writeTokenIds(JsonGenerator json, String key, int[] tokens) throws IOException {
    json.writeFieldName(key);
    json.writeArray(tokens, 0, tokens.length);
  }

  static void writeFinish(JsonGenerator json, Optional<Finish> finish) throws IOException {
    if (finish.isPresent()) {
      json.writeStringField("finish_reason", finish.get().reason());
    } else {
      json.writeNullField("finish_reason");
    }
  }

  static void writeStopReason(JsonGenerator json, Optional<Finish> finish) throws IOException {
    String reason = finish.map(Finish::stopReason).orElse(null);
    if (reason == null) {
      json.writeNullField("stop_reason");
    } else {
      json.writeStringField("stop_reason", reason);
    }
  }

  final Head head() {
    return head;
  }

  /** An event that has a name. */
  static String event(String name, Writing content) {
    return "event: " + name + "\n" + event(content);
  }

  static String event(Writing content) {
    return "data: " + object(content) + "\n\n";
  }

  static String object(Writing content) {
    StringWriter text = new StringWriter(512);
    try (JsonGenerator json = JSON.createGenerator(text)) {
      json.writeStartObject();
      content.to(json);
      json.writeEndObject();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return text.toString();
  }

  static void writeCounts(JsonGenerator json, Usage usage) throws IOException {
    json.writeNumberField("prompt_tokens", usage.promptTokens());
    json.writeNumberField("total_tokens", usage.promptTokens() + usage.completionTokens());
    json.writeNumberField("completion_tokens", usage.completionTokens());
  }
}
