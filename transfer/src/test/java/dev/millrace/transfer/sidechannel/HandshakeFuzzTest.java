package dev.millrace.transfer.sidechannel;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.management.ManagementFactory;
import java.util.Random;
import java.util.function.Consumer;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;

/** No bytes make a decoder fail otherwise than documented, or allocate out of proportion. */
final class HandshakeFuzzTest {
  /**
   * Far above what a decoder needs for a message of some kilobytes, far below what one can declare.
   */
  private static final long MOST_ALLOCATED_BYTES = 1 << 20;

  @Property(tries = 500)
  void randomBytes_areDecodedOrRefused(@ForAll @Size(max = 200) byte[] bytes) {
    decodeAll(bytes);
  }

  @Property(tries = 800)
  void mutatedReply_isDecodedOrRefused(
      @ForAll long seed, @ForAll @IntRange(min = 1, max = 8) int mutations) {
    byte[] reply = Recordings.bytes(Recordings.TP1, "reply0");
    mutate(reply, seed, mutations);
    decodeAll(reply);
  }

  @Property(tries = 800)
  void mutatedMetadata_isDecodedOrRefused(
      @ForAll long seed, @ForAll @IntRange(min = 1, max = 8) int mutations) {
    byte[] metadata = Recordings.handshake(Recordings.TWO_GROUPS).metadata().bytes();
    mutate(metadata, seed, mutations);
    decodeAll(metadata);
  }

  @Property(tries = 300)
  void mutatedRequest_isDecodedOrRefused(
      @ForAll long seed, @ForAll @IntRange(min = 1, max = 3) int mutations) {
    byte[] request = Recordings.bytes(Recordings.TP1, "request");
    mutate(request, seed, mutations);
    decodeAll(request);
  }

  /** Half of the new bytes are heads of long arrays, maps, texts and extensions. */
  private static void mutate(byte[] bytes, long seed, int mutations) {
    Random random = new Random(seed);
    for (int i = 0; i < mutations; i++) {
      int at = random.nextInt(bytes.length);
      bytes[at] = (byte) (random.nextBoolean() ? random.nextInt(256) : 0xc0 + random.nextInt(32));
    }
  }

  private static void decodeAll(byte[] bytes) {
    check(bytes, HandshakeCodec::decodeHandshake);
    check(bytes, HandshakeCodec::decodeRequest);
    check(bytes, HandshakeCodec::decodeClock);
    check(bytes, each -> HandshakeCodec.decodeMetadata(Blob.of(each), ConnectorVersion.V14));
    check(bytes, each -> HandshakeCodec.decodeMetadata(Blob.of(each), ConnectorVersion.V7));
  }

  private static void check(byte[] bytes, Consumer<byte[]> decoder) {
    // The first time, most of it is classes being loaded.
    if (allocatedBytes(bytes, decoder) > MOST_ALLOCATED_BYTES) {
      assertThat(allocatedBytes(bytes, decoder)).isLessThan(MOST_ALLOCATED_BYTES);
    }
  }

  private static long allocatedBytes(byte[] bytes, Consumer<byte[]> decoder) {
    var threads = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
    long beforeBytes = threads.getCurrentThreadAllocatedBytes();
    try {
      decoder.accept(bytes);
    } catch (MalformedHandshake expected) {
      assertThat(expected.getMessage()).isNotBlank();
    }
    return threads.getCurrentThreadAllocatedBytes() - beforeBytes;
  }
}
