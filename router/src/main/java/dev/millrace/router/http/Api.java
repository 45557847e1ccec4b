package dev.millrace.router.http;

import org.jspecify.annotations.Nullable;

/** The endpoints of engines that the public port has. */
public enum Api {
  /** Chat completions. */
  CHAT_COMPLETIONS("/v1/chat/completions", Use.GENERATES),
  /** Text completions. */
  COMPLETIONS("/v1/completions", Use.GENERATES),
  /** OpenAI's responses. */
  RESPONSES("/v1/responses", Use.GENERATES),
  /** Anthropic's messages. */
  MESSAGES("/v1/messages", Use.GENERATES),
  /** How many tokens messages are. */
  COUNT_TOKENS("/v1/messages/count_tokens", Use.ONE_WORKER),
  /** Embeddings. */
  EMBEDDINGS("/v1/embeddings", Use.ONE_WORKER),
  /** Documents by how well they answer a query. */
  RERANK("/v1/rerank", Use.ONE_WORKER),
  /** How alike pairs of texts are. */
  SCORE("/v1/score", Use.ONE_WORKER),
  /** Classes of texts; vLLM has it without {@code /v1} (0.32.0). */
  CLASSIFY("/classify", Use.ONE_WORKER),
  /** What a pooling model says, whatever it is. */
  POOLING("/pooling", Use.ONE_WORKER),
  /** Speech to text. */
  TRANSCRIPTIONS("/v1/audio/transcriptions", Use.ONE_WORKER),
  /** Speech to English text. */
  TRANSLATIONS("/v1/audio/translations", Use.ONE_WORKER),
  /** Text to speech. */
  SPEECH("/v1/audio/speech", Use.ONE_WORKER),
  /** Text to tokens. */
  TOKENIZE("/tokenize", Use.ONE_WORKER),
  /** Tokens to text. */
  DETOKENIZE("/detokenize", Use.ONE_WORKER);

  /** What becomes of a request. */
  private enum Use {
    GENERATES,
    ONE_WORKER
  }

  private final String path;
  private final Use use;

  Api(String path, Use use) {
    this.path = path;
    this.use = use;
  }

  /** The path on the engines. */
  public String path() {
    return path;
  }

  /** The form in which its clients expect errors. */
  public ErrorForm errors() {
    return switch (this) {
      case MESSAGES, COUNT_TOKENS -> ErrorForm.ANTHROPIC;
      case RESPONSES -> ErrorForm.RESPONSES;
      default -> ErrorForm.OPENAI;
    };
  }

  /** Whether tokens are generated, for which there may be a prefill and a decode worker. */
  public boolean generates() {
    return use == Use.GENERATES;
  }

  /** The endpoint at a path of the public port, or null if there is none. */
  public static @Nullable Api at(String path) {
    return switch (path) {
      case "/v1/chat/completions" -> CHAT_COMPLETIONS;
      case "/v1/completions" -> COMPLETIONS;
      case "/v1/responses" -> RESPONSES;
      case "/v1/messages" -> MESSAGES;
      case "/v1/messages/count_tokens" -> COUNT_TOKENS;
      case "/v1/embeddings" -> EMBEDDINGS;
      case "/v1/rerank", "/v2/rerank", "/rerank" -> RERANK;
      case "/v1/score", "/score" -> SCORE;
      case "/v1/classify", "/classify" -> CLASSIFY;
      case "/pooling" -> POOLING;
      case "/v1/audio/transcriptions" -> TRANSCRIPTIONS;
      case "/v1/audio/translations" -> TRANSLATIONS;
      case "/v1/audio/speech" -> SPEECH;
      case "/tokenize" -> TOKENIZE;
      case "/detokenize" -> DETOKENIZE;
      default -> null;
    };
  }
}
