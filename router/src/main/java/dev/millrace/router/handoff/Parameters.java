package dev.millrace.router.handoff;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import dev.millrace.router.http.RootObject;
import dev.millrace.router.http.Splice;
import io.netty.buffer.Unpooled;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.internal.buffer.BufferInternal;
import java.io.IOException;
import java.util.Arrays;

/**
 * {@code kv_transfer_params} in the answers of engines.
 *
 * <p>The object is opaque and passed on with every key, known or not. But some forms of it make a
 * vLLM decode engine hang or end (seen with 0.32.0, {@code vllm/distributed/kv_transfer/
 * kv_connector/v1/nixl}): block ids that are empty or not nested by cache group, and a missing id,
 * engine, host or port. Those are not passed on.
 */
public final class Parameters {
  private static final String KEY = "kv_transfer_params";
  private static final int ALL = 0b11_1111;

  private Parameters() {}

  /** What a prefill worker's answer says about blocks. */
  public sealed interface Found {
    /**
     * It names blocks.
     *
     * @param object the object's bytes, verbatim
     */
    record Blocks(Buffer object) implements Found {}

    /** It names none. */
    record Nothing() implements Found {}

    /** It has an object that would harm a decode worker. */
    record Unfit() implements Found {}

    /** It is not a JSON object. */
    record Garbage() implements Found {}
  }

  /** Looks for the parameters in a prefill worker's answer. */
  public static Found find(byte[] answer, int length) {
    Found found = new Found.Nothing();
    try (RootObject root = RootObject.open(answer, 0, length)) {
      while (root.next()) {
        if (!root.name().equals(KEY)) {
          root.valueEnd();
          continue;
        }
        boolean absent = root.kind() == JsonToken.VALUE_NULL;
        int from = root.valueStart();
        boolean fit = isFit(root.value());
        int to = root.valueEnd();
        found =
            absent
                ? new Found.Nothing()
                : fit
                    ? new Found.Blocks(Buffer.buffer(Arrays.copyOfRange(answer, from, to)))
                    : new Found.Unfit();
      }
    } catch (IOException | IllegalStateException e) {
      return new Found.Garbage();
    }
    return found;
  }

  /** Moves from the object's first to its last token. */
  private static boolean isFit(JsonParser parser) throws IOException {
    if (parser.currentToken() != JsonToken.START_OBJECT) {
      return false;
    }
    int seen = 0;
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      String name = parser.currentName();
      JsonToken value = parser.nextToken();
      boolean text = value == JsonToken.VALUE_STRING && parser.getTextLength() > 0;
      seen |=
          switch (name) {
            case "do_remote_prefill" -> value == JsonToken.VALUE_TRUE ? 1 : 0;
            case "remote_block_ids" -> namesBlocks(parser) ? 2 : 0;
            case "remote_engine_id" -> text ? 4 : 0;
            case "remote_request_id" -> text ? 8 : 0;
            case "remote_host" -> text ? 16 : 0;
            case "remote_port" -> value == JsonToken.VALUE_NUMBER_INT ? 32 : 0;
            default -> 0;
          };
      parser.skipChildren();
    }
    return seen == ALL;
  }

  /** A list of lists of integers of which one is not empty. Moves to its last token. */
  private static boolean namesBlocks(JsonParser parser) throws IOException {
    if (parser.currentToken() != JsonToken.START_ARRAY) {
      return false;
    }
    boolean any = false;
    boolean nested = true;
    for (JsonToken group = parser.nextToken();
        group != JsonToken.END_ARRAY && group != null;
        group = parser.nextToken()) {
      if (group != JsonToken.START_ARRAY) {
        nested = false;
        parser.skipChildren();
        continue;
      }
      for (JsonToken id = parser.nextToken();
          id != JsonToken.END_ARRAY && id != null;
          id = parser.nextToken()) {
        nested &= id == JsonToken.VALUE_NUMBER_INT;
        any = true;
        parser.skipChildren();
      }
    }
    return nested && any;
  }

  /** A decode worker's whole answer, as the client may see it. */
  public sealed interface Cleaned {
    /**
     * The answer without the parameters, in the engine's bytes.
     *
     * @param body what the client gets
     */
    record Clean(Buffer body) implements Cleaned {}

    /** It is not a JSON object. */
    record Garbage() implements Cleaned {}
  }

  /**
   * Takes the parameters out of an answer. A null stays: it gives nothing away, and the client gets
   * the engine's bytes.
   */
  public static Cleaned clean(byte[] answer, int length) {
    Splice splice = null;
    try (RootObject root = RootObject.open(answer, 0, length)) {
      while (root.next()) {
        boolean secret = root.kind() != JsonToken.VALUE_NULL && root.name().equals(KEY);
        int ordinal = root.ordinal();
        int from = root.nameStart();
        int to = root.valueEnd();
        if (secret) {
          splice = (splice == null ? new Splice(answer, length) : splice);
          splice.removeMember(ordinal, from, to);
        }
      }
    } catch (IOException | IllegalStateException e) {
      return new Cleaned.Garbage();
    }
    return new Cleaned.Clean(
        splice == null
            ? BufferInternal.buffer(Unpooled.wrappedBuffer(answer, 0, length))
            : splice.toBuffer());
  }
}
