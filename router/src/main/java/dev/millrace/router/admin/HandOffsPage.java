package dev.millrace.router.admin;

import dev.millrace.router.handoff.HandOff;
import dev.millrace.router.handoff.Ledger;
import dev.millrace.router.pools.Worker;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;

/** {@code /pd/handoffs}: the blocks that prefill workers hold for us now. */
final class HandOffsPage {
  private HandOffsPage() {}

  static JsonObject of(Ledger ledger, long now) {
    JsonArray open = new JsonArray();
    for (HandOff entry : ledger.entries()) {
      Worker reader = entry.reader();
      open.add(
          new JsonObject()
              .put("request_id", entry.pinned().requestId())
              .put("prefill", entry.holder().url())
              .put("decode", reader == null ? null : reader.url())
              .put("engine_id", entry.pinned().engineId())
              .put("tokens", entry.pinned().tokens())
              .put("blocks", entry.pinned().blocks())
              .put("age_ms", (now - entry.sinceNanos()) / 1_000_000)
              .put("lease_left_ms", entry.leaseLeft(now).toMillis()));
    }
    return new JsonObject().put("handoffs", open);
  }
}
