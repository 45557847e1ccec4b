package dev.millrace.transfer.tcp;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.transfer.BlockTransport;
import dev.millrace.transfer.BlockTransportContract;
import dev.millrace.transfer.SharedSecret;

/** The contract, over TCP. */
final class TcpTransportTest extends BlockTransportContract {
  static final SharedSecret SECRET = SharedSecret.of("a secret for tests only".getBytes(UTF_8));
  static final SharedSecret OTHER_SECRET =
      SharedSecret.of("another secret for tests".getBytes(UTF_8));

  @Override
  protected BlockTransport start(String name) {
    return TcpTransport.start(TcpTransportOptions.loopback(name, SECRET));
  }

  @Override
  protected BlockTransport startStranger(String name) {
    return TcpTransport.start(TcpTransportOptions.loopback(name, OTHER_SECRET));
  }

  @Override
  protected Class<?> owner() {
    return TcpOwner.class;
  }

  @Override
  protected void assertHoldsNothing(BlockTransport transport) {
    assertHoldsNothing(((TcpTransport) transport).stats());
  }

  static void assertHoldsNothing(TcpTransport.Stats stats) {
    assertThat(stats.connections()).isZero();
    assertThat(stats.registrations()).isZero();
    assertThat(stats.peers()).isZero();
  }

  @Override
  protected boolean isOwnThread(Thread thread) {
    return thread.getName().startsWith("tcp-transport-");
  }
}
