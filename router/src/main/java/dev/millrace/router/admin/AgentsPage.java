package dev.millrace.router.admin;

import dev.millrace.router.agents.Agent;
import dev.millrace.router.agents.Agents;
import dev.millrace.transfer.rpc.v1.DescribeReply;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;

/** {@code /pd/agents}: the KV agents, and what they hold. */
final class AgentsPage {
  private AgentsPage() {}

  static JsonObject of(Agents agents) {
    JsonArray all = new JsonArray();
    for (Agent agent : agents.all()) {
      JsonObject one = new JsonObject().put("url", agent.url()).put("calls", agent.calls());
      DescribeReply said = agent.said();
      if (said == null) {
        one.put("state", "unreachable").put("why", agent.trouble());
      } else {
        one.put("state", "up")
            .put("transport", said.getTransport())
            .put("memory_budget_bytes", said.getMemoryBudgetBytes())
            .put("held_bytes", said.getHeldBytes())
            .put("quarantined_bytes", said.getQuarantinedBytes())
            .put("held_copies", said.getHeldCopies())
            .put("open_reads", said.getOpenReads());
      }
      all.add(one);
    }
    return new JsonObject().put("agents", all);
  }
}
