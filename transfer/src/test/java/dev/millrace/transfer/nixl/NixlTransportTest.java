package dev.millrace.transfer.nixl;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.transfer.BlockTransport;
import dev.millrace.transfer.BlockTransportContract;
import dev.millrace.transfer.SharedSecret;

/** The contract, over whatever UCX chooses between agents of one host: shared memory. */
@NixlInstalled
class NixlTransportTest extends BlockTransportContract {
  static final SharedSecret SECRET = SharedSecret.of("a secret for tests only".getBytes(UTF_8));
  static final SharedSecret OTHER_SECRET =
      SharedSecret.of("another secret for tests".getBytes(UTF_8));

  static NixlTransport open(String name, SharedSecret secret) {
    return NixlTransport.open(
        NixlInstalled.Library.present(), NixlTransportOptions.named(name, secret));
  }

  @Override
  protected BlockTransport start(String name) {
    return open(name, SECRET);
  }

  @Override
  protected BlockTransport startStranger(String name) {
    return open(name, OTHER_SECRET);
  }

  @Override
  protected Class<?> owner() {
    return NixlOwner.class;
  }

  @Override
  protected void assertHoldsNothing(BlockTransport transport) {
    NixlStatistics statistics = ((NixlTransport) transport).statistics();
    assertThat(statistics.registrations()).isZero();
    assertThat(statistics.requestsInFlight()).isZero();
    assertThat(statistics.quarantinedRequests()).isZero();
    assertThat(statistics.quarantinedBytes()).isZero();
  }

  @Override
  protected boolean isOwnThread(Thread thread) {
    return thread.getName().startsWith(NixlTransport.THREADS);
  }
}
