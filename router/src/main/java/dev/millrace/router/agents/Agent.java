package dev.millrace.router.agents;

import dev.millrace.transfer.rpc.AgentClient;
import dev.millrace.transfer.rpc.v1.DescribeReply;
import dev.millrace.transfer.rpc.v1.SideChannel;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/** One KV agent, and what it last said of itself. Shared by all event loops. */
public final class Agent {
  private final String url;
  private final AgentClient client;
  private final AtomicInteger openCalls = new AtomicInteger();
  private volatile @Nullable DescribeReply said;
  private volatile String trouble = "it has not been asked yet";

  Agent(String url, AgentClient client) {
    this.url = url;
    this.client = client;
  }

  /** Where it answers, which is also its name. */
  public String url() {
    return url;
  }

  AgentClient client() {
    return client;
  }

  AtomicInteger openCalls() {
    return openCalls;
  }

  void answered(DescribeReply reply) {
    said = reply;
    trouble = "";
  }

  void failed(String why) {
    said = null;
    trouble = why;
  }

  /** What it said when it was last asked; null if it gave no answer. */
  public @Nullable DescribeReply said() {
    return said;
  }

  /** Whether it did when it was last asked. */
  public boolean answers() {
    return said != null;
  }

  /** Why it gave none; empty if it did. */
  public String trouble() {
    return trouble;
  }

  /** Calls of this router that are under way. */
  public int calls() {
    return openCalls.get();
  }

  /** Whether it answers and may contact a side channel. */
  boolean reaches(String host, int port) {
    DescribeReply reply = said;
    if (reply == null) {
      return false;
    }
    for (SideChannel channel : reply.getSideChannelsList()) {
      if (channel.getPort() == port && channel.getHost().equals(host)) {
        return true;
      }
    }
    return false;
  }

  @Override
  public String toString() {
    return "agent " + url;
  }
}
