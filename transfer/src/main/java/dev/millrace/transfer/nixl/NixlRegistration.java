package dev.millrace.transfer.nixl;

import dev.millrace.transfer.Registration;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;

/** A piece of registered memory. */
final class NixlRegistration implements Registration {
  private final Claims claims;
  private final MemorySegment memory;
  private final Consumer<NixlRegistration> takeBack;
  private final AtomicBoolean closed = new AtomicBoolean();

  /**
   * Remembers a registration.
   *
   * @param memory kept reachable: an automatic arena must not be collected while NIXL has its
   *     address
   */
  NixlRegistration(Claims claims, MemorySegment memory, Consumer<NixlRegistration> takeBack) {
    this.claims = claims;
    this.memory = memory;
    this.takeBack = takeBack;
  }

  Claims claims() {
    return claims;
  }

  boolean isClosed() {
    return closed.get();
  }

  /** True for the one who ends it. */
  boolean end() {
    return closed.compareAndSet(false, true);
  }

  @Override
  public long address() {
    return memory.address();
  }

  @Override
  public long bytes() {
    return claims.region().bytes();
  }

  @Override
  public void close() {
    takeBack.accept(this);
  }
}
