package dev.millrace.simulator.http;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import dev.millrace.simulator.EngineConfig;
import dev.millrace.simulator.core.TransferParams;
import dev.millrace.simulator.http.CompletionRequest.Api;
import dev.millrace.simulator.http.CompletionRequest.Delivery;
import dev.millrace.simulator.http.CompletionRequest.Echo;
import dev.millrace.simulator.http.CompletionRequest.Reading;
import dev.millrace.simulator.http.CompletionRequest.TokenIds;
import dev.millrace.simulator.model.Tokens;
import dev.millrace.simulator.model.Vocabulary;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Reads and validates the body of {@code /v1/completions}, {@code /v1/chat/completions}, {@code
 * /v1/responses} and {@code /v1/messages}. Keys that the simulated engine does not mind are
 * skipped, as vLLM skips those that it does not know.
 */
final class RequestReader {
  private static final JsonFactory JSON = new JsonFactory();

  /** vLLM's default for {@code /v1/completions}. */
  private static final int DEFAULT_COMPLETION_TOKENS = 16;

  /** vLLM's default for {@code --max-logprobs}. */
  private static final int MOST_LOGPROBS = 20;

  /** Parts of a message that are no media (vLLM 0.32.0, {@code renderers/chat_utils.py}). */
  private static final Set<String> TEXT_PARTS =
      Set.of("text", "input_text", "output_text", "refusal", "thinking", "tool_reference");

  private final EngineConfig config;
  private final Api api;
  private final ResponseStore responses;

  private @Nullable String model;
  private final List<int[]> prompts = new ArrayList<>();
  private @Nullable String promptFault;
  private boolean stream;
  private boolean includeUsage;
  private @Nullable Integer choices;
  private double temperature = 1;
  private @Nullable Integer maxTokens;
  private @Nullable Integer maxCompletionTokens;
  private @Nullable Integer maxOutputTokens;
  private final StringBuilder instructions = new StringBuilder();
  private @Nullable String conversation;
  private @Nullable String previous;
  private boolean stored = true;
  private @Nullable Integer minTokens;
  private final List<String> stop = new ArrayList<>();
  private boolean tokenIds;
  private boolean chatLogprobs;
  private @Nullable Integer logprobs;
  private @Nullable Integer topLogprobs;
  private @Nullable Integer promptLogprobs;
  private boolean echo;
  private @Nullable String refused;
  private TransferParams params = new TransferParams.None();
  private @Nullable Tokens tokensOfPrefill;
  private boolean media;

  private RequestReader(EngineConfig config, Api api, ResponseStore responses) {
    this.config = config;
    this.api = api;
    this.responses = responses;
  }

  static Reading read(EngineConfig config, Api api, ResponseStore responses, byte[] body) {
    RequestReader reader = new RequestReader(config, api, responses);
    try (JsonParser parser = JSON.createParser(body)) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        return refuse(ErrorBody.badRequest("The body must be a JSON object"), reader.params);
      }
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String key = parser.currentName();
        parser.nextToken();
        reader.value(key, parser);
        // An object where a plain value belongs is left alone; its keys are not ours.
        parser.skipChildren();
      }
    } catch (IOException e) {
      return refuse(ErrorBody.badRequest("JSON decode error: " + e.getMessage()), reader.params);
    }
    return reader.validate();
  }

  private void value(String key, JsonParser parser) throws IOException {
    switch (key) {
      case "model" -> model = parser.getValueAsString();
      case "prompt" -> prompt(parser);
      case "messages" -> messages(parser);
      case "input" -> input(parser);
      case "instructions", "system" -> content(parser, instructions);
      case "stream" -> stream = parser.getValueAsBoolean();
      case "stream_options" -> streamOptions(parser);
      case "n" -> choices = integer(parser);
      case "temperature" -> temperature = number(parser, 1);
      case "max_tokens" -> maxTokens = integer(parser);
      case "max_completion_tokens" -> maxCompletionTokens = integer(parser);
      case "max_output_tokens" -> maxOutputTokens = integer(parser);
      case "min_tokens" -> minTokens = integer(parser);
      case "stop", "stop_sequences" -> stop(parser);
      case "return_token_ids" -> tokenIds = parser.getValueAsBoolean();
      case "logprobs" -> logprobs(parser);
      case "top_logprobs" -> topLogprobs = integer(parser);
      case "prompt_logprobs" -> promptLogprobs = integer(parser);
      case "echo" -> echo = parser.getValueAsBoolean();
      case "store" -> stored = parser.getValueAsBoolean();
      case "previous_response_id" -> previous = parser.getValueAsString();
      case "kv_transfer_params" -> {
        TransferParamsReader.Said said = TransferParamsReader.read(parser);
        params = said.params();
        tokensOfPrefill = config.release().takesTokensForChats() ? said.promptTokenIds() : null;
      }
      default -> parser.skipChildren();
    }
  }

  private static @Nullable Integer integer(JsonParser parser) throws IOException {
    return parser.currentToken() == JsonToken.VALUE_NULL ? null : parser.getValueAsInt();
  }

  private static double number(JsonParser parser, double absent) throws IOException {
    return parser.currentToken() == JsonToken.VALUE_NULL ? absent : parser.getValueAsDouble(absent);
  }

  /** A number of alternatives in completions, a switch in chat. */
  private void logprobs(JsonParser parser) throws IOException {
    switch (api) {
      case COMPLETIONS -> logprobs = integer(parser);
      case CHAT -> chatLogprobs = parser.getValueAsBoolean();
      case RESPONSES, MESSAGES -> {}
    }
  }

  private void prompt(JsonParser parser) throws IOException {
    switch (parser.currentToken()) {
      case VALUE_STRING -> prompts.add(Vocabulary.encode(parser.getText()));
      case START_ARRAY -> promptList(parser);
      default -> promptFault = "prompt must be a string or a list";
    }
  }

  private void promptList(JsonParser parser) throws IOException {
    int[] tokens = new int[64];
    int count = 0;
    int lists = 0;
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      switch (parser.currentToken()) {
        case VALUE_NUMBER_INT -> {
          int token = parser.getIntValue();
          if (token < 0 || token >= Vocabulary.size()) {
            promptFault = "Token id " + token + " is out of vocabulary";
          }
          if (count == tokens.length) {
            tokens = Arrays.copyOf(tokens, count * 2);
          }
          tokens[count++] = token;
        }
        case VALUE_STRING -> {
          lists++;
          prompts.add(Vocabulary.encode(parser.getText()));
        }
        case START_ARRAY -> {
          lists++;
          promptList(parser);
        }
        default -> {
          promptFault = "prompt contains what is neither text nor a token id";
          parser.skipChildren();
        }
      }
    }
    if (lists > 0 && count > 0) {
      promptFault = "prompt mixes token ids with prompts";
    } else if (lists == 0) {
      prompts.add(Arrays.copyOf(tokens, count));
    }
  }

  /** The simulated model's chat template: {@code <|role|>}, a line break, the content, one more. */
  private void messages(JsonParser parser) throws IOException {
    if (parser.currentToken() != JsonToken.START_ARRAY) {
      promptFault = "messages must be a list";
      parser.skipChildren();
      return;
    }
    StringBuilder text = new StringBuilder();
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      if (parser.currentToken() != JsonToken.START_OBJECT) {
        promptFault = "messages must be a list of objects";
        parser.skipChildren();
        continue;
      }
      String role = "";
      StringBuilder content = new StringBuilder();
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String key = parser.currentName();
        parser.nextToken();
        switch (key) {
          case "role" -> role = parser.getValueAsString("");
          case "content" -> content(parser, content);
          default -> {}
        }
        parser.skipChildren();
      }
      text.append("<|").append(role).append("|>\n").append(content).append('\n');
    }
    conversation = text.toString();
  }

  /** A text, which is what a user says, or messages. */
  private void input(JsonParser parser) throws IOException {
    if (parser.currentToken() == JsonToken.VALUE_STRING) {
      conversation = "<|user|>\n" + parser.getText() + '\n';
    } else {
      messages(parser);
    }
  }

  /** Instructions are a system message before all others, wherever they stand in the body. */
  private void render() {
    if (api == Api.CHAT && tokensOfPrefill != null && !echo && !media) {
      reuse(tokensOfPrefill);
    } else if (conversation != null) {
      String system = instructions.isEmpty() ? "" : "<|system|>\n" + instructions + '\n';
      prompts.add(Vocabulary.encode(system + conversation + "<|assistant|>\n"));
    }
  }

  /** A chat is not tokenised again that the prefill engine has tokenised. */
  private void reuse(Tokens tokens) {
    if (tokens.size() == 0) {
      promptFault =
          "`kv_transfer_params['prompt_token_ids']` must be a non-empty list of non-negative"
              + " integers.";
      return;
    }
    for (int token : tokens.toArray()) {
      if (token >= Vocabulary.size()) {
        promptFault = "Token id " + token + " is out of vocabulary";
      }
    }
    prompts.add(tokens.toArray());
  }

  /** A string, or a list of parts whose texts count. */
  private void content(JsonParser parser, StringBuilder content) throws IOException {
    if (parser.currentToken() == JsonToken.VALUE_STRING) {
      content.append(parser.getText());
      return;
    }
    if (parser.currentToken() != JsonToken.START_ARRAY) {
      parser.skipChildren();
      return;
    }
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      if (parser.currentToken() != JsonToken.START_OBJECT) {
        parser.skipChildren();
        continue;
      }
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String key = parser.currentName();
        parser.nextToken();
        if (key.equals("text") && parser.currentToken() == JsonToken.VALUE_STRING) {
          content.append(parser.getText());
        } else if (key.equals("type") && parser.currentToken() == JsonToken.VALUE_STRING) {
          media |= !TEXT_PARTS.contains(parser.getText());
        } else {
          parser.skipChildren();
        }
      }
    }
  }

  private void streamOptions(JsonParser parser) throws IOException {
    if (parser.currentToken() != JsonToken.START_OBJECT) {
      parser.skipChildren();
      return;
    }
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      String key = parser.currentName();
      parser.nextToken();
      if (key.equals("include_usage")) {
        includeUsage = parser.getValueAsBoolean();
      } else {
        parser.skipChildren();
      }
    }
  }

  private void stop(JsonParser parser) throws IOException {
    switch (parser.currentToken()) {
      case VALUE_STRING -> addStop(parser.getText());
      case START_ARRAY -> {
        while (parser.nextToken() != JsonToken.END_ARRAY) {
          if (parser.currentToken() == JsonToken.VALUE_STRING) {
            addStop(parser.getText());
          } else {
            parser.skipChildren();
          }
        }
      }
      default -> parser.skipChildren();
    }
  }

  private void addStop(String text) {
    if (text.isEmpty()) {
      refused = "stop cannot contain an empty string.";
    } else {
      stop.add(text);
    }
  }

  private Reading validate() {
    Optional<String> before =
        api == Api.RESPONSES && previous != null
            ? responses.get(previous).map(ResponseStore.Kept::conversation)
            : Optional.of("");
    if (conversation != null) {
      conversation = before.orElse("") + conversation;
    }
    render();
    if (model != null && !model.equals(config.model()) && !config.adapters().contains(model)) {
      return refuse(ErrorBody.notFound(model), params);
    }
    if (before.isEmpty()) {
      return refuse(ErrorBody.noResponse(String.valueOf(previous)), params);
    }
    if (refused != null) {
      return refuse(ErrorBody.badRequest(refused), params);
    }
    Optional<ErrorBody> logprobsFault = logprobsFault();
    if (logprobsFault.isPresent()) {
      return refuse(logprobsFault.get(), params);
    }
    if (promptFault != null) {
      return refuse(ErrorBody.badRequest(promptFault), params);
    }
    if (prompts.isEmpty() || prompts.stream().anyMatch(prompt -> prompt.length == 0)) {
      String key =
          switch (api) {
            case COMPLETIONS -> "prompt";
            case CHAT, MESSAGES -> "messages";
            case RESPONSES -> "input";
          };
      return refuse(ErrorBody.badRequest("The " + key + " must not be empty."), params);
    }
    int several = choices == null ? 1 : choices;
    if (several < 1) {
      return refuse(ErrorBody.badRequest("n must be at least 1, got " + several + "."), params);
    }
    if (several > 1 && temperature == 0) {
      return refuse(
          ErrorBody.badRequest("n must be 1 when using greedy sampling, got " + several + "."),
          params);
    }
    int[] longest = prompts.stream().max(Comparator.comparingInt(prompt -> prompt.length)).get();
    return validateLimits(longest, several);
  }

  /** Which key asks for log-probabilities that there are not. */
  private Optional<ErrorBody> logprobsFault() {
    String key = api == Api.CHAT ? "top_logprobs" : "logprobs";
    Integer asked = api == Api.CHAT ? topLogprobs : logprobs;
    if (asked == null) {
      return Optional.empty();
    }
    if (asked < 0) {
      return Optional.of(ErrorBody.badRequest("`" + key + "` must be a positive value.", key));
    }
    if (api == Api.CHAT && asked > 0 && !chatLogprobs) {
      return Optional.of(
          ErrorBody.badRequest("when using `" + key + "`, `logprobs` must be set to true.", key));
    }
    return asked <= MOST_LOGPROBS
        ? Optional.empty()
        : Optional.of(
            ErrorBody.badRequest(
                "Requested sample logprobs of %d, which is greater than max allowed: %d"
                    .formatted(asked, MOST_LOGPROBS),
                "logprobs"));
  }

  private OptionalInt alternatives() {
    return switch (api) {
      case RESPONSES, MESSAGES -> OptionalInt.empty();
      case COMPLETIONS -> logprobs == null ? OptionalInt.empty() : OptionalInt.of(logprobs);
      case CHAT ->
          chatLogprobs
              ? OptionalInt.of(topLogprobs == null ? 0 : topLogprobs)
              : OptionalInt.empty();
    };
  }

  private Reading validateLimits(int[] tokens, int several) {
    Integer given =
        switch (api) {
          case COMPLETIONS, MESSAGES -> maxTokens;
          case CHAT -> maxCompletionTokens != null ? maxCompletionTokens : maxTokens;
          case RESPONSES -> maxOutputTokens;
        };
    if (api == Api.MESSAGES && given == null) {
      return refuse(ErrorBody.badRequest("max_tokens: Field required", "max_tokens"), params);
    }
    int room = config.maxModelLength() - tokens.length;
    int byDefault = api == Api.COMPLETIONS ? DEFAULT_COMPLETION_TOKENS : config.defaultChatTokens();
    int limit = given != null ? given : Math.clamp(room, 0, byDefault);
    boolean promptOnly = echo && api == Api.COMPLETIONS && Integer.valueOf(0).equals(given);
    if (promptOnly) {
      limit = 1;
    } else if (given != null && given < 1) {
      return refuse(
          ErrorBody.badRequest("max_tokens must be at least 1, got " + given + "."), params);
    }
    if (limit > room || limit < 1) {
      return refuse(
          ErrorBody.badRequest(
              ("This model's maximum context length is %d tokens. However, you requested %d output"
                      + " tokens and your prompt contains at least %d input tokens, for a total of"
                      + " at least %d tokens. Please reduce the length of the input prompt or the"
                      + " number of requested output tokens.")
                  .formatted(
                      config.maxModelLength(),
                      Math.max(limit, 1),
                      tokens.length,
                      tokens.length + Math.max(limit, 1))),
          params);
    }
    if (minTokens != null && minTokens > limit) {
      return refuse(
          ErrorBody.badRequest(
              "min_tokens must be less than or equal to max_tokens=%d, got %d."
                  .formatted(limit, minTokens)),
          params);
    }
    Delivery delivery =
        !stream ? Delivery.UNARY : includeUsage ? Delivery.STREAM_WITH_USAGE : Delivery.STREAM;
    return new Reading.Read(
        new CompletionRequest(
            api,
            model == null ? config.model() : model,
            prompts.stream().map(Tokens::of).toList(),
            delivery,
            several,
            limit,
            List.copyOf(stop),
            tokenIds ? TokenIds.RETURN : TokenIds.OMIT,
            alternatives(),
            promptAlternatives(),
            !echo || api != Api.COMPLETIONS ? Echo.NO : promptOnly ? Echo.ALONE : Echo.BEFORE,
            Optional.ofNullable(conversation).filter(said -> stored && api == Api.RESPONSES),
            survivable()));
  }

  /** With an echo those of the answer are those of the prompt too (vLLM 0.32.0). */
  private OptionalInt promptAlternatives() {
    if (promptLogprobs != null) {
      return OptionalInt.of(promptLogprobs);
    }
    return echo && api == Api.COMPLETIONS && logprobs != null
        ? OptionalInt.of(logprobs)
        : OptionalInt.empty();
  }

  /** An engine ends that shall tell of a prompt which it has loaded (vLLM issue 50792). */
  private TransferParams survivable() {
    return params instanceof TransferParams.RemotePrefill && promptAlternatives().isPresent()
        ? new TransferParams.Fatal("log-probabilities of a prompt that was loaded")
        : params;
  }

  private static Reading refuse(ErrorBody error, TransferParams params) {
    return new Reading.Refused(error, params);
  }
}
