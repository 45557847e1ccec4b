package dev.millrace.transfer;

/** Memory that a {@link BlockTransport} may read and write. */
public interface Registration extends AutoCloseable {
  /** Address of the first byte. */
  long address();

  /** Size of the memory. */
  long bytes();

  /**
   * Takes the memory back: no new read may touch it. Returns when no byte of it is in use by the
   * transport any more, so that the memory may be freed. Idempotent.
   *
   * @throws TransferException if it is still in use after a while, and must not be freed. It can be
   *     called again
   */
  @Override
  void close();
}
