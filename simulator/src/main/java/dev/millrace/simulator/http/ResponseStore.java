package dev.millrace.simulator.http;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * The responses of an engine, for who asks for one by its id or goes on from it. Shared by all of
 * its event loops and ranks, as one API server of vLLM keeps them for all of its ranks (0.32.0,
 * with {@code VLLM_ENABLE_RESPONSES_API_STORE}); but vLLM never forgets one, and this keeps no more
 * than {@value #MOST} of them.
 */
public final class ResponseStore {
  static final int MOST = 1000;

  private final Map<String, Kept> byId = new LinkedHashMap<>();

  /**
   * A response that is there.
   *
   * @param body as it was answered
   * @param conversation what was said, its own text included; the next request's is put behind it
   */
  record Kept(String body, String conversation) {}

  /** Nothing is kept yet. */
  public ResponseStore() {}

  /** Keeps one more, in the place of the oldest if there is no room. */
  synchronized void keep(String id, Kept response) {
    byId.put(id, response);
    if (byId.size() > MOST) {
      byId.remove(byId.keySet().iterator().next());
    }
  }

  /** The one with an id, if it is kept. */
  synchronized Optional<Kept> get(String id) {
    return Optional.ofNullable(byId.get(id));
  }
}
