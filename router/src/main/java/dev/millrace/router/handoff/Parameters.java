package dev.millrace.router.handoff;

import com.fasterxml.jackson.core.JsonToken;
import dev.millrace.router.http.JsonList;
import dev.millrace.router.http.RootObject;
import dev.millrace.router.http.Splice;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.internal.buffer.BufferInternal;
import java.io.IOException;
import org.jspecify.annotations.Nullable;

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
  private static final String USAGE = "usage";
  private static final String CHOICES = "choices";

  private Parameters() {}

  /** What a prefill worker's answer says about blocks. */
  public sealed interface Found {
    /**
     * It names blocks.
     *
     * @param pinned what it says of them
     */
    record Blocks(Pinned pinned) implements Found {}

    /** It names none. */
    record Nothing() implements Found {}

    /**
     * It has an object that would harm a decode worker.
     *
     * @param why what is wrong with it
     */
    record Unfit(String why) implements Found {}

    /** It is not a JSON object. */
    record Garbage() implements Found {}
  }

  /**
   * Looks for the parameters in a prefill worker's answer. Older engines do not say there how many
   * tokens the blocks hold; the answer's usage does.
   */
  public static Found find(byte[] answer, int length) {
    Found found = new Found.Nothing();
    int promptTokens = 0;
    PromptTokenIds ids = new PromptTokenIds(answer);
    try {
      RootObject root = RootObject.open(answer, 0, length);
      while (root.next()) {
        switch (root.name()) {
          case CHOICES -> ids.readChoices(root);
          case PromptTokenIds.KEY -> ids.read(root);
          case USAGE -> promptTokens = PinnedScan.promptTokens(root);
          case KEY -> found = blocks(root, answer);
          default -> {}
        }
      }
    } catch (IOException e) {
      return new Found.Garbage();
    }
    return found instanceof Found.Blocks(Pinned pinned)
        ? new Found.Blocks(pinned.ofPrompt(promptTokens, ids.found()))
        : found;
  }

  private static Found blocks(RootObject member, byte[] answer) throws IOException {
    if (member.kind() == JsonToken.VALUE_NULL) {
      return new Found.Nothing();
    }
    PinnedScan scan = new PinnedScan();
    scan.read(member);
    int from = member.valueStart();
    // What is passed on is the answer's own bytes, which nobody changes any more.
    ByteBuf object = Unpooled.wrappedBuffer(answer, from, member.valueEnd() - from);
    return scan.found(BufferInternal.buffer(object));
  }

  /** What a member says of a failure; null if nothing. */
  private static @Nullable String failure(RootObject member) throws IOException {
    return switch (member.name()) {
      case "error" -> member.kind() == JsonToken.START_OBJECT ? "it has an error" : null;
      case "status" -> says(member, "failed") ? "its status is failed" : null;
      case CHOICES -> hasFailedChoice(member) ? "its finish_reason is error" : null;
      default -> null;
    };
  }

  private static boolean says(RootObject member, String text) throws IOException {
    return member.kind() == JsonToken.VALUE_STRING && member.string().equals(text);
  }

  private static boolean hasFailedChoice(RootObject member) throws IOException {
    boolean failed = false;
    if (member.kind() == JsonToken.START_ARRAY) {
      for (JsonList choices = member.list(); choices.next(); ) {
        if (choices.kind() == JsonToken.START_OBJECT) {
          for (RootObject choice = choices.object(); choice.next(); ) {
            failed |= choice.name().equals("finish_reason") && says(choice, "error");
          }
        }
      }
    }
    return failed;
  }

  /** A decode worker's whole answer, as the client may see it. */
  public sealed interface Cleaned {
    /**
     * The answer without the parameters, in the engine's bytes.
     *
     * @param body what the client gets
     */
    record Clean(Buffer body) implements Cleaned {}

    /**
     * It says itself that it is none: it has an {@code error}, a choice whose {@code finish_reason}
     * is {@code error}, or the {@code status} of a response that failed.
     *
     * @param what it says
     * @param body what the client may see of it
     */
    record Failed(String what, Buffer body) implements Cleaned {}

    /** It is not a JSON object. */
    record Garbage() implements Cleaned {}
  }

  /**
   * Takes the parameters out of an answer. A null stays: it gives nothing away, and the client gets
   * the engine's bytes.
   */
  public static Cleaned clean(byte[] answer, int length) {
    Splice splice = null;
    String failed = null;
    try {
      RootObject root = RootObject.open(answer, 0, length);
      while (root.next()) {
        boolean secret = root.kind() != JsonToken.VALUE_NULL && root.name().equals(KEY);
        int ordinal = root.ordinal();
        int from = root.nameStart();
        failed = failed == null ? failure(root) : failed;
        int to = root.valueEnd();
        if (secret) {
          splice = (splice == null ? new Splice(answer, length) : splice);
          splice.removeMember(ordinal, from, to);
        }
      }
    } catch (IOException e) {
      return new Cleaned.Garbage();
    }
    Buffer shown =
        splice == null
            ? BufferInternal.buffer(Unpooled.wrappedBuffer(answer, 0, length))
            : splice.toBuffer();
    return failed == null ? new Cleaned.Clean(shown) : new Cleaned.Failed(failed, shown);
  }
}
