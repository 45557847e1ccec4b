package dev.millrace.router.telemetry;

import dev.millrace.router.choose.Weighed;
import dev.millrace.router.pools.TransferReport;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.time.Duration;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * One exchange's moments. Written by the event loop that owns it until {@link #settled}, read by
 * anybody afterwards; only the transfer report comes later.
 *
 * <pre>
 * receive → queue → retries → p-connect → p → hand-off → d-before-first-token → stream → settle
 * </pre>
 */
public final class Waterfall {
  private static final TransferReport NO_LEG =
      new TransferReport.Unknown(TransferReport.Why.NO_DECODE_LEG);
  private static final TransferReport NOT_ASKED_YET =
      new TransferReport.Unknown(TransferReport.Why.NOT_ASKED_YET);

  private static final int PARTS = Part.values().length;

  /** The parts, in the order in which they happen. */
  public enum Part {
    /** The client sends its request. */
    RECEIVE(0, "receive"),
    /** It is understood, and waits for its workers. */
    QUEUE(1, "queue"),
    /** Earlier attempts that failed. */
    RETRIES(2, "retries"),
    /** A connection to the prefill worker is obtained. */
    P_CONNECT(3, "p-connect"),
    /** The prefill leg, from its request to the last byte of its answer. */
    P(4, "p"),
    /** The parameters are cut out, and the decode leg is sent. */
    HAND_OFF(5, "hand-off"),
    /** The decode worker's queue, block reads and first step, which HTTP does not tell apart. */
    D_BEFORE_FIRST_TOKEN(6, "d-before-first-token"),
    /** From the first to the last token; nothing for an answer in one piece. */
    STREAM(7, "stream"),
    /** What is left: the last bytes to the client. */
    SETTLE(8, "settle");

    private final int index;
    private final String key;

    Part(int index, String key) {
      this.index = index;
      this.key = key;
    }

    /** Its name in JSON. */
    public String key() {
      return key;
    }
  }

  private final String requestId;
  private final String path;
  private final long startNanos;
  private final long[] partNanos = new long[PARTS];
  private long lastNanos;
  private long firstTokenNanos = -1;

  private @Nullable String model;
  private @Nullable String route;
  private @Nullable String branch;
  private @Nullable String askedAs;
  private @Nullable JsonArray fallbacks;
  private @Nullable String prefillWorker;
  private @Nullable String decodeWorker;
  private int status;
  private String ending = "open";
  private @Nullable String bypass;
  private int prompts;
  private long promptsAcross;
  private int retries;
  private long roomNanos = -1;
  private @Nullable Weighed weighed;
  private boolean retryRefused;
  private long tokensTaken = -1;
  private long tokensUsed;
  private boolean handedOver;
  private String askedBy = "";
  private String carriedBy = "none";
  private long carriedBytes;
  private long carriedNanos;
  private long totalNanos;
  private volatile TransferReport transfer = NO_LEG;

  /** Begins with the request's first byte. */
  public Waterfall(String requestId, String path, long nowNanos) {
    this.requestId = requestId;
    this.path = path;
    this.startNanos = nowNanos;
    this.lastNanos = nowNanos;
  }

  /** The exchange's id. */
  public String requestId() {
    return requestId;
  }

  /** Ends a part, which began where the one before it ended. */
  public void ended(Part part, long nowNanos) {
    partNanos[part.index] += nowNanos - lastNanos;
    lastNanos = nowNanos;
  }

  /** The first token has come: ends what was before it. */
  public void firstToken(long nowNanos) {
    ended(Part.D_BEFORE_FIRST_TOKEN, nowNanos);
    firstTokenNanos = nowNanos - startNanos;
  }

  /** Everything since the request was queued belongs to an attempt that failed. */
  public void retried(long nowNanos) {
    retries++;
    attemptFailed(nowNanos);
  }

  /**
   * Another route takes the request; everything since it was queued belongs to an attempt that
   * failed.
   *
   * @param from the route that could not serve it
   * @param why in a word
   */
  public void fellBack(String from, String why, long nowNanos) {
    if (fallbacks == null) {
      fallbacks = new JsonArray();
    }
    fallbacks.add(new JsonObject().put("route", from).put("why", why));
    attemptFailed(nowNanos);
  }

  private void attemptFailed(long nowNanos) {
    ended(Part.RETRIES, nowNanos);
    for (int i = Part.P_CONNECT.index; i <= Part.D_BEFORE_FIRST_TOKEN.index; i++) {
      partNanos[Part.RETRIES.index] += partNanos[i];
      partNanos[i] = 0;
    }
  }

  /** Notes how long it waited for room on a decode worker, which is part of the queue's time. */
  public void waitedForRoom(long nanos) {
    roomNanos = Math.max(0, roomNanos) + nanos;
  }

  /** Notes that a failure was answered as it was, although its stage had retries left. */
  public void retryRefused() {
    retryRefused = true;
  }

  /**
   * Notes the tokens of a caller that has only so many.
   *
   * @param taken before it was known
   * @param used in the end
   */
  public void tokens(long taken, long used) {
    tokensTaken = taken;
    tokensUsed = used;
  }

  /** How long a part, and the one after it, have taken. */
  public long nanos(Part part, Part next) {
    return partNanos[part.index] + partNanos[next.index];
  }

  /** Notes what was thought of a hand-off and of a decode worker alone. */
  public void weighed(Weighed ways) {
    weighed = ways;
  }

  /** Notes what the request asked for. */
  public void model(String asked) {
    model = asked;
  }

  /**
   * Notes which route takes it.
   *
   * @param ofIt which of its branches; null if it has none
   * @param model the name by which its engines are asked
   */
  public void route(String name, @Nullable String ofIt, String model) {
    route = name;
    branch = ofIt;
    askedAs = model;
  }

  /**
   * Notes that one worker computes everything.
   *
   * @param why for people
   */
  public void bypassed(String why) {
    bypass = why;
  }

  /**
   * Notes that prompts were computed by prefill workers for the decode worker's prefix cache.
   *
   * @param asked how many
   * @param across how many got there
   */
  public void primed(int asked, long across) {
    prompts = asked;
    promptsAcross = across;
  }

  /** Notes who computes the prompt. */
  public void prefillOn(String url) {
    prefillWorker = url;
    bypass = null;
  }

  /** Notes who generates the answer. */
  public void decodeOn(String url) {
    decodeWorker = url;
    transfer = NOT_ASKED_YET;
  }

  /**
   * Notes whether the decode leg names blocks; if not, the decode worker computes the prompt and
   * nothing is to be said of a transfer.
   */
  public void handsOver(boolean blocks) {
    handedOver = blocks;
  }

  /**
   * Notes how the blocks got to where the decode worker reads them; the time is part of the
   * hand-off's.
   *
   * @param way {@code engine}, or an agent's word for what it did
   * @param bytes that an agent read, 0 if none
   * @param took of the agent's call
   */
  public void carried(String way, long bytes, Duration took) {
    carriedBy = way;
    carriedBytes = bytes;
    carriedNanos = took.toNanos();
  }

  /** Notes what the decode worker reports about its reads; from any thread. */
  public void transferred(TransferReport report) {
    transfer = report;
  }

  /**
   * Closes the books.
   *
   * @param finalStatus what the client was answered, 0 if it left before
   * @param how the ending in a word
   */
  public void settled(int finalStatus, String how, long nowNanos) {
    ended(Part.SETTLE, nowNanos);
    totalNanos = nowNanos - startNanos;
    status = finalStatus;
    ending = how;
  }

  /** How long the whole took. */
  public long totalNanos() {
    return totalNanos;
  }

  /** The retries that it took. */
  public int retries() {
    return retries;
  }

  /** Who asks, by the name of its key; empty if nobody is asked for one. */
  public void askedBy(String name) {
    askedBy = name;
  }

  /** The waterfall as operators see it, times in milliseconds. */
  public JsonObject toJson() {
    JsonObject parts = new JsonObject();
    for (Part part : Part.values()) {
      parts.put(part.key(), millis(partNanos[part.index]));
    }
    return new JsonObject()
        .put("id", requestId)
        .put("path", path)
        .put("key", askedBy.isEmpty() ? null : askedBy)
        .put("model", model)
        .put("route", route)
        .put("branch", branch)
        .put("fallbacks", fallbacks)
        .put("asked_as", Objects.equals(askedAs, model) ? null : askedAs)
        .put("status", status)
        .put("ending", ending)
        .put("prefill", prefillWorker)
        .put("decode", decodeWorker)
        .put("bypass", bypass)
        .put(
            "primed",
            prompts == 0
                ? null
                : new JsonObject().put("prompts", prompts).put("across", promptsAcross))
        .put("break_even", breakEven())
        .put("room_ms", roomNanos < 0 ? null : millis(roomNanos))
        .put("retries", retries)
        .put("not_retried", retryRefused ? "the route's retry budget is spent" : null)
        .put(
            "tokens",
            tokensTaken < 0
                ? null
                : new JsonObject().put("taken", tokensTaken).put("used", tokensUsed))
        .put("parts_ms", parts)
        .put("first_token_ms", firstTokenNanos < 0 ? null : millis(firstTokenNanos))
        .put("total_ms", millis(totalNanos))
        .put(
            "carriage",
            new JsonObject()
                .put("way", carriedBy)
                .put("agent_bytes", carriedBytes)
                .put("agent_ms", millis(carriedNanos)))
        .put("transfer", transferJson());
  }

  private @Nullable JsonObject breakEven() {
    return weighed instanceof Weighed.Known known
        ? new JsonObject()
            .put("alone_ms", known.aloneNanos() / 1e6)
            .put("handed_over_ms", known.handedOverNanos() / 1e6)
            .put("streams", known.streams())
            .put("probes", known.probes())
        : null;
  }

  private JsonObject transferJson() {
    return switch (transfer) {
      case TransferReport.Measured(long bytes, double seconds, var tokens) -> {
        JsonObject json = new JsonObject().put("bytes", bytes).put("seconds", seconds);
        tokens.ifPresent(from ->
            json.put("tokens_loaded", from.loaded()).put("tokens_computed", from.computed()));
        yield json.put("outcome", handedOver ? transfer.outcome().word() : "none");
      }
      case TransferReport.NothingNamed nothing ->
          new JsonObject()
              .put("bytes", 0)
              .put("seconds", 0)
              .put("outcome", nothing.outcome().word())
              .put("why", "the prefill worker's answer named no blocks");
      case TransferReport.Unknown(TransferReport.Why why) ->
          new JsonObject()
              .put("bytes", "unknown")
              .put("seconds", "unknown")
              .put("outcome", handedOver ? transfer.outcome().word() : "none")
              .put("why", why.words());
    };
  }

  private static double millis(long nanos) {
    return nanos / 1e6;
  }
}
