package dev.millrace.transfer.tcp;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.zip.CRC32C;

/** The buffers of one gathering write or scattering read, with room for a header in front. */
final class Pieces {
  private static final ByteBuffer NONE = ByteBuffer.allocate(0);

  private ByteBuffer[] buffers = new ByteBuffer[64];
  private int end;
  private long bytes;

  Pieces() {
    Arrays.fill(buffers, NONE);
    clear();
  }

  /** Forgets all buffers, so that none of them keeps memory from being freed. */
  void clear() {
    Arrays.fill(buffers, 0, end, NONE);
    end = 1;
    bytes = 0;
  }

  void add(Region region, long address, int length) {
    int done = 0;
    while (done < length) {
      int part = region.inOneWindow(address + done, length - done);
      add(region.view(address + done, part));
      done += part;
    }
  }

  void add(ByteBuffer buffer) {
    if (end == buffers.length) {
      buffers = Arrays.copyOf(buffers, 2 * end);
      Arrays.fill(buffers, end, buffers.length, NONE);
    }
    buffers[end++] = buffer;
    bytes += buffer.remaining();
  }

  void header(ByteBuffer header) {
    buffers[0] = header;
  }

  ByteBuffer[] buffers() {
    return buffers;
  }

  /** Index after the last buffer; the first is at 1, a header at 0. */
  int end() {
    return end;
  }

  long bytes() {
    return bytes;
  }

  /** Checksum from the start of each buffer to its limit; afterwards all can be written again. */
  int checksum(CRC32C crc) {
    crc.reset();
    for (int i = 1; i < end; i++) {
      buffers[i].rewind();
      crc.update(buffers[i]);
      buffers[i].rewind();
    }
    return (int) crc.getValue();
  }
}
