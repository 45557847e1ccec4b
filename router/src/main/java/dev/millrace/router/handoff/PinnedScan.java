package dev.millrace.router.handoff;

import com.fasterxml.jackson.core.JsonToken;
import dev.millrace.router.handoff.Parameters.Found;
import dev.millrace.router.http.JsonList;
import dev.millrace.router.http.RootObject;
import io.vertx.core.buffer.Buffer;
import java.io.IOException;
import org.jspecify.annotations.Nullable;

/** One pass over {@code kv_transfer_params}, and whether a decode engine would survive them. */
final class PinnedScan {
  /** Bounds what a garbled answer can make of a number. */
  private static final int MOST = 1 << 24;

  private static final int LONGEST = String.valueOf(MOST).length();

  private boolean object;
  private boolean remotePrefill;
  private boolean nested = true;
  private int blocks;
  private @Nullable String engineId;
  private @Nullable String requestId;
  private @Nullable String host;
  private int port;
  private int tensorParallel = 1;
  private int pipelineParallel = 1;
  private int tokens;

  /** Looks at the member that has the parameters. */
  void read(RootObject parameters) throws IOException {
    object = parameters.kind() == JsonToken.START_OBJECT;
    if (!object) {
      return;
    }
    for (RootObject each = parameters.object(); each.next(); ) {
      switch (each.name()) {
        case "do_remote_prefill" -> remotePrefill = each.kind() == JsonToken.VALUE_TRUE;
        case "remote_block_ids" -> blockIds(each);
        case "remote_engine_id" -> engineId = text(each);
        case "remote_request_id" -> requestId = text(each);
        case "remote_host" -> host = text(each);
        case "remote_port" -> port = number(each, 0);
        case "tp_size" -> tensorParallel = number(each, 1);
        case "pp_size" -> pipelineParallel = number(each, 1);
        case "remote_num_tokens" -> tokens = number(each, 0);
        default -> {}
      }
    }
  }

  /** {@code prompt_tokens} of an answer's {@code usage}; 0 if it says none. */
  static int promptTokens(RootObject usage) throws IOException {
    int tokens = 0;
    if (usage.kind() == JsonToken.START_OBJECT) {
      for (RootObject each = usage.object(); each.next(); ) {
        if (each.name().equals("prompt_tokens")) {
          tokens = number(each, 0);
        }
      }
    }
    return tokens;
  }

  /** A list of lists of integers. */
  private void blockIds(RootObject member) throws IOException {
    nested = member.kind() == JsonToken.START_ARRAY;
    if (!nested) {
      return;
    }
    for (JsonList groups = member.list(); groups.next(); ) {
      int ids = groups.kind() == JsonToken.START_ARRAY ? groups.list().integers() : -1;
      nested &= ids >= 0;
      blocks += Math.max(0, ids);
    }
  }

  private static @Nullable String text(RootObject member) throws IOException {
    if (member.kind() != JsonToken.VALUE_STRING) {
      return null;
    }
    String text = member.string();
    return text.isEmpty() ? null : text;
  }

  private static int number(RootObject member, int otherwise) {
    if (member.kind() != JsonToken.VALUE_NUMBER_INT
        || member.valueEnd() - member.valueStart() > LONGEST) {
      return otherwise;
    }
    int value = Integer.parseInt(member.spelling());
    return value < 0 || value > MOST ? otherwise : value;
  }

  /**
   * What was found.
   *
   * @param bytes of the object
   */
  Found found(Buffer bytes) {
    if (!object) {
      return new Found.Unfit("they are not an object");
    }
    if (!remotePrefill) {
      return new Found.Unfit("do_remote_prefill is not true");
    }
    if (!nested || blocks == 0) {
      return new Found.Unfit("remote_block_ids names no blocks, or not by KV-cache group");
    }
    if (engineId == null || requestId == null || host == null || port < 1) {
      return new Found.Unfit(
          "remote_engine_id, remote_request_id, remote_host or remote_port is missing");
    }
    return new Found.Blocks(
        new Pinned(
            bytes,
            engineId,
            requestId,
            host,
            port,
            tensorParallel,
            pipelineParallel,
            tokens,
            blocks,
            null));
  }
}
