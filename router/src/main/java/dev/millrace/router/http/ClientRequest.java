package dev.millrace.router.http;

import com.fasterxml.jackson.core.JsonToken;
import io.vertx.core.buffer.Buffer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What the router understood of a request for tokens, and the bodies that it makes of it.
 *
 * <p>Of the client's object only the members in {@link Field} matter, by where they stand. The
 * prefill worker gets the client's bytes with these ranges rewritten, so that it computes the
 * prompt, generates one token, and holds the blocks:
 *
 * <pre>
 * stream                              false (stream chunks do not carry kv_transfer_params)
 * max_tokens, max_completion_tokens   1 (0 with an echo); max_tokens is put in where neither stands (chat and
 *                                     completions)
 * max_output_tokens                   1, also where it does not stand (responses)
 * store                               false (responses: the decode worker keeps the answer)
 * stream_options, min_tokens, min_completion_tokens, n, best_of, use_beam_search   removed
 * kv_transfer_params                  the six keys that ask for a remote decode
 * return_token_ids                    true where the decode worker takes tokens for the prompt
 * stop, stop_token_ids, ignore_eos    removed, true (vLLM before 0.21, which hands nothing over
 *                                     when the first token ends the answer)
 * </pre>
 *
 * <p>The decode worker gets the client's bytes with {@code kv_transfer_params} set to the object
 * that the prefill worker answered, verbatim, and with the token ids that the prefill worker made
 * of the prompt: both then work on the same tokens, also where their tokenizers or templates
 * differ, and it is tokenised once. They take the place of a text as {@code prompt}; of a chat they
 * are one more key of the object, {@code prompt_token_ids} (vLLM 0.32.0, {@code
 * renderers/online_renderer.py}, which leaves them where the chat has media). Parameters of the
 * transfer are single-use capabilities for the memory of an engine, so those in a client's own body
 * are never passed on.
 *
 * <p>Of several prompts, or of several sequences of one ({@code n}, {@code best_of}, {@code
 * use_beam_search}), the prefill answer carries the blocks of one sequence, and the first one that
 * has read them frees them. They take another {@linkplain Course.Primed course}.
 *
 * <p>Some requests are computed by a decode worker alone:
 *
 * <ul>
 *   <li>what is said of the prompt ({@code prompt_logprobs}, {@code echo}) in a stream or for
 *       several sequences; else it comes from the prefill worker, and the decode worker is not
 *       asked;
 *   <li>a negative {@code truncate_prompt_tokens}: vLLM keeps as much of the prompt as {@code
 *       max_tokens} leaves room for, which is another one on the prefill leg ({@code
 *       vllm/renderers/params.py}); the same for a response's {@code truncation};
 *   <li>a response with a {@code previous_response_id}, which only the engine that made it knows,
 *       or in the {@code background}, which is asked for at the engine that makes it; and what is
 *       {@linkplain KeptResponse asked of a response} afterwards;
 *   <li>a response with tools that the engine uses by itself: it would name the blocks again in
 *       every turn.
 * </ul>
 *
 * @see <a
 *     href="https://github.com/vllm-project/vllm/blob/main/tests/v1/kv_connector/nixl_integration/toy_proxy_server.py">vLLM's
 *     toy proxy, the reference for the prefill leg's body</a>
 */
public final class ClientRequest implements Classified {
  /** Members that the router reads or rewrites. */
  enum Field {
    MODEL,
    PROMPT,
    PROMPT_EMBEDS,
    PROMPT_LOGPROBS,
    ECHO,
    TRUNCATE_PROMPT_TOKENS,
    STREAM,
    STREAM_OPTIONS,
    MAX_TOKENS,
    MAX_COMPLETION_TOKENS,
    MAX_OUTPUT_TOKENS,
    MIN_TOKENS,
    MIN_COMPLETION_TOKENS,
    N,
    BEST_OF,
    USE_BEAM_SEARCH,
    KV_TRANSFER_PARAMS,
    RETURN_TOKEN_IDS,
    STOP,
    IGNORE_EOS,
    STORE,
    BACKGROUND,
    PREVIOUS_RESPONSE_ID,
    TRUNCATION,
    TOOLS,
    /** Belongs between router and engine, in this or another engine's protocol. */
    INTERNAL;

    static @Nullable Field named(String name) {
      return switch (name) {
        case "model" -> MODEL;
        case "prompt" -> PROMPT;
        case "prompt_embeds" -> PROMPT_EMBEDS;
        case "prompt_logprobs" -> PROMPT_LOGPROBS;
        case "echo" -> ECHO;
        case "truncate_prompt_tokens" -> TRUNCATE_PROMPT_TOKENS;
        case "stream" -> STREAM;
        case "stream_options" -> STREAM_OPTIONS;
        case "max_tokens" -> MAX_TOKENS;
        case "max_completion_tokens" -> MAX_COMPLETION_TOKENS;
        case "max_output_tokens" -> MAX_OUTPUT_TOKENS;
        case "min_tokens" -> MIN_TOKENS;
        case "min_completion_tokens" -> MIN_COMPLETION_TOKENS;
        case "n" -> N;
        case "best_of" -> BEST_OF;
        case "use_beam_search" -> USE_BEAM_SEARCH;
        case "kv_transfer_params" -> KV_TRANSFER_PARAMS;
        case "return_token_ids" -> RETURN_TOKEN_IDS;
        case "stop", "stop_token_ids", "stop_sequences" -> STOP;
        case "ignore_eos" -> IGNORE_EOS;
        case "store" -> STORE;
        case "background" -> BACKGROUND;
        case "previous_response_id" -> PREVIOUS_RESPONSE_ID;
        case "truncation" -> TRUNCATION;
        case "tools" -> TOOLS;
        case "ec_transfer_params",
            "bootstrap_host",
            "bootstrap_port",
            "bootstrap_room",
            "data_parallel_rank" ->
            INTERNAL;
        default -> null;
      };
    }
  }

  /** More prompts than that are computed where the answers are. */
  private static final int MOST_PROMPTS = 64;

  private record Span(int from, int to) {}

  private record Member(Field field, int ordinal, int nameStart, int valueStart, int valueEnd) {}

  private static final byte[] FALSE = ascii("false");
  private static final byte[] ONE = ascii("1");
  private static final byte[] ZERO = ascii("0");
  private static final byte[] ASK_FOR_REMOTE_DECODE =
      ascii(
          "{\"do_remote_decode\":true,\"do_remote_prefill\":false,\"remote_engine_id\":null,"
              + "\"remote_block_ids\":null,\"remote_host\":null,\"remote_port\":null}");
  private static final byte[] COMMA = ascii(",");
  private static final byte[] MAX_TOKENS = ascii("\"max_tokens\":");
  private static final byte[] MAX_OUTPUT_TOKENS = ascii("\"max_output_tokens\":");
  private static final byte[] KV_TRANSFER_PARAMS = ascii("\"kv_transfer_params\":");
  private static final byte[] PROMPT_TOKEN_IDS = ascii("\"prompt_token_ids\":");
  private static final byte[] RETURN_TOKEN_IDS = ascii("\"return_token_ids\":true");
  private static final byte[] IGNORE_EOS = ascii("\"ignore_eos\":true");
  private static final byte[] TRUE = ascii("true");
  private static final byte[] NONE = {};

  private final Api api;
  private final RequestBytes body;
  private final int length;
  private final List<Member> members;
  private final int memberCount;
  private final int closeBrace;
  private final String model;
  private final Answer answer;
  private final Course course;
  private final boolean promptIsText;
  private final boolean aboutPrompt;
  private final PromptAnswer.Echo echo;
  private final Prompt prompt;

  /** The model in the body's spelling, if engines know it by another name than the client. */
  private final byte @Nullable [] askedAs;

  /** Which workers may compute a request. */
  public sealed interface Course {
    /** A prefill worker the prompt, a decode worker the rest. */
    record Disaggregated() implements Course {}

    /**
     * Prefill workers one prompt each. Parameters of a transfer are for one sequence, so a decode
     * worker takes each over with a leg of its own, whose one token nobody hears, and has all of
     * them in its prefix cache when it is given the client's request.
     *
     * @param prompts requests of one sequence each
     * @param why for people
     */
    record Primed(List<ClientRequest> prompts, String why) implements Course {}

    /**
     * One worker everything.
     *
     * @param why for people
     */
    record Alone(String why) implements Course {}

    /**
     * The worker that keeps a response, and no other: nothing is computed.
     *
     * @param asked of it
     */
    record AtKeeper(KeptResponse asked) implements Course {}
  }

  /** The form of the answer that the client asked for. */
  public enum Answer {
    /** One JSON object. */
    WHOLE,
    /** Server-sent events, token by token. */
    STREAM
  }

  private ClientRequest(Api api, RequestBytes body, int length, Scan scan, String model) {
    this.api = api;
    this.body = body;
    this.length = length;
    this.members = scan.members;
    this.memberCount = scan.memberCount;
    this.closeBrace = scan.closeBrace;
    this.answer = scan.answer;
    this.echo = scan.echo;
    this.aboutPrompt = scan.aboutPrompt;
    this.prompt = scan.prompt;
    // With return_token_ids there is no text in an echo (vLLM 0.32.0).
    this.promptIsText =
        api == Api.COMPLETIONS && scan.promptIsText && scan.echo == PromptAnswer.Echo.NO;
    this.model = model;
    this.askedAs = null;
    this.course = course(scan);
  }

  private ClientRequest(ClientRequest other, String name) {
    this.api = other.api;
    this.body = other.body;
    this.length = other.length;
    this.members = other.members;
    this.memberCount = other.memberCount;
    this.closeBrace = other.closeBrace;
    this.answer = other.answer;
    this.echo = other.echo;
    this.aboutPrompt = other.aboutPrompt;
    this.prompt = other.prompt;
    this.promptIsText = other.promptIsText;
    this.model = other.model;
    boolean isJson = memberCount > 0;
    this.askedAs = isJson ? ModelNames.quoted(name) : name.getBytes(StandardCharsets.UTF_8);
    this.course =
        other.course instanceof Course.Primed(var prompts, String why)
            ? new Course.Primed(prompts.stream().map(each -> each.askedAs(name)).toList(), why)
            : other.course;
  }

  /** Reads the bytes {@code [0, length)} of a body, which must not change afterwards. */
  public static Classified read(Api api, byte[] body, int length) {
    RequestBytes bytes = new RequestBytes(body);
    Scan scan = new Scan(api, new Prompt(bytes));
    try {
      RootObject root = RootObject.open(body, 0, length);
      while (root.next()) {
        if (api.generates()) {
          scan.member(root);
        } else {
          scan.ofOneWorker(root);
        }
      }
      scan.memberCount = root.ordinal() + 1;
      scan.closeBrace = root.closeBrace();
    } catch (Unacceptable e) {
      return new Refused(e.problem);
    } catch (IOException e) {
      return new Refused(
          Problem.badRequest(
              "invalid_json", "The body is not valid JSON: " + firstLine(e.getMessage())));
    }
    String model = scan.model;
    if (model == null && !api.generates()) {
      return new ClientRequest(api, bytes, length, scan, "");
    }
    if (model == null) {
      return new Refused(
          Problem.badRequest(
              "model_missing", "The body has no \"model\"; GET /v1/models lists them"));
    }
    return new ClientRequest(api, bytes, length, scan, model);
  }

  /** What is asked of a response for which this model was asked. */
  public static ClientRequest ofKept(KeptResponse asked, String model) {
    RequestBytes none = new RequestBytes(NONE);
    Scan scan = new Scan(Api.RESPONSES, new Prompt(none));
    scan.asked = asked;
    return new ClientRequest(Api.RESPONSES, none, 0, scan, model);
  }

  /** The endpoint that was asked. */
  public Api api() {
    return api;
  }

  /** A body that is no JSON, of which only the model is known, if it names one. */
  public static ClientRequest opaque(Api api, byte[] body, int length, Optional<FormModel> model) {
    RequestBytes bytes = new RequestBytes(body);
    Scan scan = new Scan(api, new Prompt(bytes));
    model.ifPresent(field ->
        scan.members.add(new Member(Field.MODEL, 0, field.from(), field.from(), field.to())));
    return new ClientRequest(api, bytes, length, scan, model.map(FormModel::name).orElse(""));
  }

  /**
   * The same with another name for its model in all that engines get; a body that names none stays
   * so. What the client asked for is {@link #model} still.
   */
  public ClientRequest askedAs(String name) {
    return askedAs == null && name.equals(model) ? this : new ClientRequest(this, name);
  }

  /** Lets go of its bytes: an engine has begun to answer, and no other will be asked. */
  public void isAnswered() {
    body.letGo();
    if (course instanceof Course.Primed(var prompts, _)) {
      prompts.forEach(ClientRequest::isAnswered);
    }
  }

  /** The model that was asked for; empty where an endpoint does not require one. */
  public String model() {
    return model;
  }

  /** Where its prompt stands; nowhere if nothing is generated. */
  public Prompt prompt() {
    return prompt;
  }

  /** A guess at the tokens of its prompt; of a body of which that is not known, at all of it. */
  public long promptTokens() {
    return TokenCount.ofPrompt(api.generates() ? prompt.bytes() : length);
  }

  /**
   * How many tokens its answer may have.
   *
   * @param otherwise of each sequence, where the request does not say
   */
  public long mostAnswerTokens(long otherwise) {
    if (!api.generates() || !costsTokens()) {
      return 0;
    }
    long each = -1;
    long sequences = 1;
    for (Member member : members) {
      switch (member.field) {
        case MAX_TOKENS, MAX_COMPLETION_TOKENS, MAX_OUTPUT_TOKENS ->
            each = Math.max(each, number(member));
        case N, BEST_OF -> sequences = Math.max(sequences, number(member));
        default -> {}
      }
    }
    return sequences * (each < 0 ? otherwise : each);
  }

  /** A number of at most nine digits; more of them mean without bound, which no engine gives. */
  private long number(Member member) {
    int digits = member.valueEnd - member.valueStart;
    String text = new String(body.get(), member.valueStart, digits, StandardCharsets.US_ASCII);
    if (text.startsWith("-") || text.equals("null")) {
      return -1;
    }
    return digits > 9 ? 999_999_999 : Long.parseLong(text);
  }

  /**
   * A text among the members of the body's object, the last of its name as with most parsers. The
   * body is walked once more.
   */
  public Optional<String> text(String name) {
    String found = null;
    try {
      for (RootObject root = RootObject.open(body.get(), 0, length); root.next(); ) {
        if (root.name().equals(name)) {
          found = root.kind() == JsonToken.VALUE_STRING ? root.string() : null;
        }
      }
    } catch (IOException notAnObject) {
      return Optional.empty();
    }
    return Optional.ofNullable(found);
  }

  /** Whether the engine that answers keeps its answer, for who asks for it by its id. */
  public boolean isKept() {
    return api == Api.RESPONSES
        && costsTokens()
        && !says(Field.STORE, 'f')
        && !says(Field.STORE, 'n');
  }

  private boolean says(Field field, char first) {
    for (Member member : members) {
      if (member.field == field) {
        return body.get()[member.valueStart] == first;
      }
    }
    return false;
  }

  /** The id of the response from which it goes on, if it does. */
  public Optional<String> previousResponse() {
    return api == Api.RESPONSES && says(Field.PREVIOUS_RESPONSE_ID, '"')
        ? text("previous_response_id")
        : Optional.empty();
  }

  /** Whether an engine has to do something for it that costs tokens. */
  public boolean costsTokens() {
    return !(course instanceof Course.AtKeeper);
  }

  /** The form of the answer that was asked for. */
  public Answer answer() {
    return answer;
  }

  /** Which workers may compute it. */
  public Course course() {
    return course;
  }

  private Course course(Scan scan) {
    if (scan.asked != null) {
      return new Course.AtKeeper(scan.asked);
    }
    if (!api.generates()) {
      return new Course.Alone(api.path() + " is for one worker");
    }
    if (scan.alone != null) {
      return new Course.Alone(scan.alone);
    }
    boolean several = scan.prompts > 1 || scan.several != null;
    if (scan.aboutPrompt && (several || scan.answer == Answer.STREAM)) {
      return new Course.Alone("prompt_logprobs or echo of a stream, or of several sequences");
    }
    if (scan.echo == PromptAnswer.Echo.YES && (api != Api.COMPLETIONS || scan.noTokens)) {
      return new Course.Alone("echo of a chat, or of nothing but the prompt");
    }
    if (scan.prompts > 1) {
      return scan.listed.size() == scan.prompts && scan.prompts <= MOST_PROMPTS
          ? new Course.Primed(
              scan.listed.stream().map(this::ofOneSequence).toList(), "several prompts")
          : new Course.Alone("several prompts");
    }
    return scan.several == null
        ? new Course.Disaggregated()
        : new Course.Primed(
            List.of(ofOneSequence(scan.listed.isEmpty() ? null : scan.listed.getFirst())),
            scan.several);
  }

  /**
   * The same request for one sequence.
   *
   * @param prompt of those listed; null if there is one only
   */
  private ClientRequest ofOneSequence(@Nullable Span prompt) {
    Splice splice = new Splice(body.get(), length);
    for (Member member : members) {
      switch (member.field) {
        case PROMPT -> {
          if (prompt != null) {
            splice.replace(member.valueStart, member.valueEnd, body.get(), prompt.from, prompt.to);
          }
        }
        case N, BEST_OF, USE_BEAM_SEARCH -> remove(splice, member);
        default -> {}
      }
    }
    byte[] one = splice.toBuffer().getBytes();
    if (read(api, one, one.length) instanceof ClientRequest request) {
      return request;
    }
    throw new IllegalStateException("a request for one sequence of a good one is not good");
  }

  /** What a prefill worker does with a prompt whose first token ends the answer. */
  public enum AtStop {
    /** It hands the blocks over all the same: vLLM since 0.21. */
    HANDS_OVER,
    /** It keeps nothing, so it must not know what ends an answer. */
    KEEPS_NOTHING
  }

  /** Of which prompts a decode worker takes the tokens that the prefill worker made of them. */
  public enum TokenReuse {
    /** Texts of completions. */
    TEXTS,
    /** Chats too: vLLM since 0.32. */
    CHATS_TOO
  }

  private boolean tokensPass(TokenReuse reuse) {
    return promptIsText || (api == Api.CHAT_COMPLETIONS && reuse == TokenReuse.CHATS_TOO);
  }

  /**
   * The body of the prefill leg.
   *
   * @param atStop of the prefill worker
   * @param reuse of the decode worker
   */
  public Buffer prefillBody(AtStop atStop, TokenReuse reuse) {
    boolean endless = false;
    Splice splice = new Splice(body.get(), length);
    // Anthropic requires the limit; who leaves it out is told so by the engine.
    boolean capped = api == Api.MESSAGES;
    boolean asked = false;
    boolean wantsIds = tokensPass(reuse);
    for (Member member : members) {
      switch (member.field) {
        case MODEL -> rename(splice, member);
        case PROMPT,
            PROMPT_EMBEDS,
            PROMPT_LOGPROBS,
            ECHO,
            TRUNCATE_PROMPT_TOKENS,
            BACKGROUND,
            PREVIOUS_RESPONSE_ID,
            TRUNCATION,
            TOOLS -> {}
        case STOP -> {
          if (atStop == AtStop.KEEPS_NOTHING) {
            remove(splice, member);
          }
        }
        case IGNORE_EOS -> {
          if (atStop == AtStop.KEEPS_NOTHING) {
            replace(splice, member, TRUE);
            endless = true;
          }
        }
        case STORE -> {
          if (api == Api.RESPONSES) {
            replace(splice, member, FALSE);
          }
        }
        case MAX_OUTPUT_TOKENS -> {
          if (api == Api.RESPONSES) {
            replace(splice, member, ONE);
            capped = true;
          }
        }
        case STREAM -> replace(splice, member, FALSE);
        case MAX_TOKENS, MAX_COMPLETION_TOKENS -> {
          replace(splice, member, cap());
          capped |= api != Api.RESPONSES;
        }
        case KV_TRANSFER_PARAMS -> {
          replace(splice, member, ASK_FOR_REMOTE_DECODE);
          asked = true;
        }
        case RETURN_TOKEN_IDS -> {
          if (wantsIds) {
            replace(splice, member, TRUE);
          }
          wantsIds = false;
        }
        case STREAM_OPTIONS,
            MIN_TOKENS,
            MIN_COMPLETION_TOKENS,
            N,
            BEST_OF,
            USE_BEAM_SEARCH,
            INTERNAL ->
            remove(splice, member);
      }
    }
    boolean empty = memberCount == splice.removedMembers();
    if (!capped) {
      insert(splice, empty, api == Api.RESPONSES ? MAX_OUTPUT_TOKENS : MAX_TOKENS);
      splice.replace(closeBrace, closeBrace, cap());
      empty = false;
    }
    if (!asked) {
      insert(splice, empty, KV_TRANSFER_PARAMS);
      splice.replace(closeBrace, closeBrace, ASK_FOR_REMOTE_DECODE);
      empty = false;
    }
    if (atStop == AtStop.KEEPS_NOTHING && !endless) {
      insert(splice, empty, IGNORE_EOS);
      empty = false;
    }
    if (wantsIds) {
      insert(splice, empty, RETURN_TOKEN_IDS);
    }
    return splice.toBuffer();
  }

  /** With an echo and no tokens vLLM says one for itself, and the prompt alone (0.32.0). */
  private byte[] cap() {
    return echo == PromptAnswer.Echo.YES ? ZERO : ONE;
  }

  /** What the prefill worker's answer says for the decode worker's; empty if nothing was asked. */
  public Optional<PromptAnswer> promptAnswer(byte[] answer, int answerLength) {
    return aboutPrompt ? PromptAnswer.of(answer, answerLength, echo) : Optional.empty();
  }

  /** Whether the prefill worker's answer is needed to complete the decode worker's. */
  public boolean needsPromptAnswer() {
    return aboutPrompt;
  }

  /**
   * The body of a decode leg that takes over blocks; the parameters go in as they are.
   *
   * @param promptTokenIds of the prefill worker, a JSON array; null if it said none
   * @param reuse of the decode worker
   */
  public Buffer decodeBody(Buffer object, @Nullable Buffer promptTokenIds, TokenReuse reuse) {
    Splice splice = new Splice(body.get(), length);
    boolean placed = false;
    Buffer ids = tokensPass(reuse) ? promptTokenIds : null;
    for (Member member : members) {
      switch (member.field) {
        case KV_TRANSFER_PARAMS -> {
          placeParameters(splice, member.valueStart, member.valueEnd, object, ids);
          placed = true;
        }
        case PROMPT -> {
          if (promptIsText && ids != null) {
            splice.replace(member.valueStart, member.valueEnd, ids);
          }
        }
        case MODEL -> rename(splice, member);
        case INTERNAL -> remove(splice, member);
        case PROMPT_LOGPROBS, ECHO -> {
          if (aboutPrompt) {
            remove(splice, member);
          }
        }
        default -> {}
      }
    }
    if (!placed) {
      insert(splice, memberCount == splice.removedMembers(), KV_TRANSFER_PARAMS);
      placeParameters(splice, closeBrace, closeBrace, object, ids);
    }
    return splice.toBuffer();
  }

  /** The object has members, so what is put in before them is followed by a comma. */
  private void placeParameters(
      Splice splice, int from, int to, Buffer object, @Nullable Buffer ids) {
    if (ids == null || api != Api.CHAT_COMPLETIONS) {
      splice.replace(from, to, object);
      return;
    }
    splice.replace(from, to, object.slice(0, 1));
    splice.replace(to, to, PROMPT_TOKEN_IDS);
    splice.replace(to, to, ids);
    splice.replace(to, to, COMMA);
    splice.replace(to, to, object.slice(1, object.length()));
  }

  /**
   * The body of a decode leg that takes over blocks for others: of one token, in one piece.
   *
   * @param promptTokenIds of the prefill worker, a JSON array; null if it said none
   * @param reuse of the decode worker
   */
  public Buffer primingBody(Buffer object, @Nullable Buffer promptTokenIds, TokenReuse reuse) {
    byte[] asked = prefillBody(AtStop.HANDS_OVER, reuse).getBytes();
    Classified one = read(api, asked, asked.length);
    if (one instanceof ClientRequest request) {
      return request.decodeBody(object, promptTokenIds, reuse);
    }
    throw new IllegalStateException("a prefill leg's body is not good");
  }

  /** The body of a decode leg that computes the prompt itself. */
  public Buffer decodeBody() {
    Splice splice = new Splice(body.get(), length);
    for (Member member : members) {
      switch (member.field) {
        case MODEL -> rename(splice, member);
        case KV_TRANSFER_PARAMS, INTERNAL -> remove(splice, member);
        default -> {}
      }
    }
    return splice.toBuffer();
  }

  private void rename(Splice splice, Member member) {
    if (askedAs != null) {
      replace(splice, member, askedAs);
    }
  }

  private static void replace(Splice splice, Member member, byte[] with) {
    splice.replace(member.valueStart, member.valueEnd, with);
  }

  private static void remove(Splice splice, Member member) {
    splice.removeMember(member.ordinal, member.nameStart, member.valueEnd);
  }

  private void insert(Splice splice, boolean first, byte[] what) {
    splice.replace(closeBrace, closeBrace, first ? NONE : COMMA);
    splice.replace(closeBrace, closeBrace, what);
  }

  /** What one pass over the body has found so far. */
  private static final class Scan {
    final Api api;
    final Prompt prompt;
    final List<Member> members = new ArrayList<>(8);
    final EnumSet<Field> seen = EnumSet.noneOf(Field.class);
    int memberCount;
    int closeBrace;
    @Nullable String model;
    Answer answer = Answer.WHOLE;
    boolean aboutPrompt;
    PromptAnswer.Echo echo = PromptAnswer.Echo.NO;
    boolean noTokens;
    int prompts;
    final List<Span> listed = new ArrayList<>(0);
    @Nullable String several;
    boolean promptIsText;
    @Nullable String alone;
    @Nullable KeptResponse asked;

    Scan(Api api, Prompt prompt) {
      this.api = api;
      this.prompt = prompt;
    }

    void member(RootObject root) throws IOException {
      String name = root.name();
      prompt.see(name, root.valueStart(), root.valueEnd());
      Field field = Field.named(name);
      if (field == null) {
        return;
      }
      // A second one would make the router and the engine read different requests.
      if (!seen.add(field) && field != Field.INTERNAL && field != Field.STOP) {
        throw new Unacceptable("duplicate_member", "The body has \"%s\" twice".formatted(name));
      }
      int ordinal = root.ordinal();
      int nameStart = root.nameStart();
      int valueStart = root.valueStart();
      look(field, name, root);
      members.add(new Member(field, ordinal, nameStart, valueStart, root.valueEnd()));
    }

    /** What is not generated has few members that matter. */
    void ofOneWorker(RootObject root) throws IOException {
      Field field = Field.named(root.name());
      if (field == Field.MODEL
          || field == Field.INTERNAL
          || field == Field.KV_TRANSFER_PARAMS
          || field == Field.STREAM) {
        member(root);
      }
    }

    private void look(Field field, String name, RootObject root) throws IOException {
      JsonToken kind = root.kind();
      switch (field) {
        case MODEL -> {
          if (kind != JsonToken.VALUE_STRING) {
            throw new Unacceptable("invalid_type", "\"model\" must be a string");
          }
          model = root.string();
        }
        case STREAM -> {
          if (kind != JsonToken.VALUE_TRUE
              && kind != JsonToken.VALUE_FALSE
              && kind != JsonToken.VALUE_NULL) {
            throw new Unacceptable("invalid_type", "\"stream\" must be true or false");
          }
          answer = kind == JsonToken.VALUE_TRUE ? Answer.STREAM : Answer.WHOLE;
        }
        case MAX_TOKENS,
            MAX_COMPLETION_TOKENS,
            MAX_OUTPUT_TOKENS,
            MIN_TOKENS,
            MIN_COMPLETION_TOKENS,
            N,
            BEST_OF -> {
          if (kind != JsonToken.VALUE_NUMBER_INT && kind != JsonToken.VALUE_NULL) {
            throw new Unacceptable("invalid_type", "\"%s\" must be an integer".formatted(name));
          }
          noTokens |= field == Field.MAX_TOKENS && isSet(kind) && root.spelling().equals("0");
          boolean counts = field == Field.N || field == Field.BEST_OF;
          if (counts && isSet(kind) && !root.spelling().equals("1")) {
            several(name, root.spelling());
          }
        }
        case PROMPT, PROMPT_EMBEDS -> {
          promptIsText |= field == Field.PROMPT && kind == JsonToken.VALUE_STRING;
          prompts += promptsIn(root, field == Field.PROMPT ? listed : new ArrayList<>(0));
        }
        case USE_BEAM_SEARCH -> {
          if (isSet(kind)) {
            several = name;
          }
        }
        case PROMPT_LOGPROBS -> {
          aboutPrompt |= isSet(kind);
        }
        case ECHO -> {
          if (isSet(kind)) {
            aboutPrompt = true;
            echo = PromptAnswer.Echo.YES;
          }
        }
        case TRUNCATE_PROMPT_TOKENS -> {
          boolean counted = kind == JsonToken.VALUE_NUMBER_INT && !root.spelling().startsWith("-");
          if (isSet(kind) && !counted) {
            alone(name);
          }
        }
        case BACKGROUND, PREVIOUS_RESPONSE_ID -> {
          if (api == Api.RESPONSES && isSet(kind)) {
            alone(name);
          }
        }
        case TRUNCATION -> {
          boolean disabled = kind == JsonToken.VALUE_STRING && root.string().equals("disabled");
          if (api == Api.RESPONSES && isSet(kind) && !disabled) {
            alone(name);
          }
        }
        case TOOLS -> {
          if (api == Api.RESPONSES && haveOneOfTheEngine(root)) {
            alone("tools that the engine uses by itself");
          }
        }
        case STREAM_OPTIONS,
            KV_TRANSFER_PARAMS,
            RETURN_TOKEN_IDS,
            STOP,
            IGNORE_EOS,
            STORE,
            INTERNAL -> {}
      }
    }

    private void alone(String name) {
      if (alone == null) {
        alone = name;
      }
    }

    /** Whether one of a response's tools is not for the client to use. */
    private static boolean haveOneOfTheEngine(RootObject root) throws IOException {
      if (root.kind() != JsonToken.START_ARRAY) {
        return false;
      }
      boolean found = false;
      for (JsonList tools = root.list(); tools.next(); ) {
        found |= tools.kind() == JsonToken.START_OBJECT && isOfTheEngine(tools.object());
      }
      return found;
    }

    private static boolean isOfTheEngine(RootObject tool) throws IOException {
      boolean found = false;
      while (tool.next()) {
        if (tool.name().equals("type") && tool.kind() == JsonToken.VALUE_STRING) {
          String type = tool.string();
          found |= !type.equals("function") && !type.equals("custom");
        }
      }
      return found;
    }

    private static boolean isSet(JsonToken kind) {
      return kind != JsonToken.VALUE_NULL && kind != JsonToken.VALUE_FALSE;
    }

    /** Engines refuse numbers that are none of sequences, in their own words. */
    private void several(String name, String count) {
      if (count.startsWith("-") || count.equals("0") || count.length() > 3) {
        alone(name);
      } else {
        several = name;
      }
    }

    /** A text, a list of token ids, or a list of these, which are then listed. */
    private static int promptsIn(RootObject root, List<Span> listed) throws IOException {
      if (root.kind() != JsonToken.START_ARRAY) {
        return root.kind() == JsonToken.VALUE_NULL ? 0 : 1;
      }
      int tokens = 0;
      int others = 0;
      for (JsonList prompts = root.list(); prompts.next(); ) {
        if (prompts.kind().isNumeric()) {
          tokens = 1;
          continue;
        }
        others++;
        listed.add(new Span(prompts.start(), prompts.end()));
      }
      return tokens + others;
    }
  }

  /** Leaves the pass over the body; never leaves this class. */
  private static final class Unacceptable extends IOException {
    final transient Problem problem;

    Unacceptable(String slug, String message) {
      super(message);
      this.problem = Problem.badRequest(slug, message);
    }

    @Override
    public synchronized Throwable fillInStackTrace() {
      return this;
    }
  }

  private static String firstLine(@Nullable String text) {
    if (text == null) {
      return "unreadable";
    }
    int end = text.indexOf('\n');
    return end < 0 ? text : text.substring(0, end);
  }

  private static byte[] ascii(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }
}
