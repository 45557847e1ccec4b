package dev.millrace.simulator.connector;

import dev.millrace.simulator.cache.Sequence;
import dev.millrace.simulator.core.Connector;
import dev.millrace.simulator.core.HandOff;
import dev.millrace.simulator.core.TransferParams.RemotePrefill;
import io.vertx.core.Future;
import java.util.Optional;

/** An engine without a connector: nothing is kept for others, nothing can be loaded. */
public final class NoConnector implements Connector {
  @Override
  public void expect(RemotePrefill remote) {}

  @Override
  public Future<Load> load(RemotePrefill remote, Sequence sequence, int from) {
    return Future.succeededFuture(new Load.Failed("this engine has no connector"));
  }

  @Override
  public void release(RemotePrefill remote) {}

  @Override
  public Optional<HandOff> hold(String requestId, int[] blocks, int tokens, int cachedTokens) {
    return Optional.empty();
  }

  @Override
  public Future<Void> start(Runnable onBlocksFreed) {
    return Future.succeededFuture();
  }

  @Override
  public Future<Void> close() {
    return Future.succeededFuture();
  }

  @Override
  public int sideChannelPort() {
    return 0;
  }

  @Override
  public int heldBlocks() {
    return 0;
  }

  @Override
  public int openReads() {
    return 0;
  }
}
