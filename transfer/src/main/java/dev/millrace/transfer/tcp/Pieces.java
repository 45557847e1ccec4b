package dev.millrace.transfer.tcp;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * The payload of one frame: ranges of registered memory, one after the other, with room for a
 * header in front.
 *
 * <p>Large ranges go straight from memory to the socket and back, by gathering writes and
 * scattering reads. For each range the kernel, the JDK and the checksum have a price of their own,
 * which is more than that of copying the bytes when they are few. So small ranges travel through a
 * buffer, side by side: {@link #gather} fills it before a frame is sent, {@link #scatter} empties
 * it when one has arrived.
 */
final class Pieces {
  private static final ByteBuffer NONE = ByteBuffer.allocate(0);

  /**
   * Up to this size a range is copied. At 512 bytes that is twice as fast as a buffer for each, at
   * 4 KiB the two are equal.
   */
  private static final int SMALL_BYTES = 4 << 10;

  private ByteBuffer[] buffers = new ByteBuffer[64];
  private int end;
  private long bytes;

  private @Nullable ByteBuffer staging;
  private MemorySegment staged = MemorySegment.NULL;
  private int stagedBytes;
  private boolean lastIsStaged;
  private Region[] smallRegions = new Region[64];
  private long[] smallAddresses = new long[64];
  private int[] smallLengths = new int[64];
  private int small;

  Pieces() {
    Arrays.fill(buffers, NONE);
    clear();
  }

  /** Forgets all buffers, so that none of them keeps memory from being freed. */
  void clear() {
    Arrays.fill(buffers, 0, end, NONE);
    end = 1;
    bytes = 0;
    Arrays.fill(smallRegions, 0, small, null);
    small = 0;
    stagedBytes = 0;
    lastIsStaged = false;
  }

  void add(Region region, long address, int length) {
    if (length <= SMALL_BYTES && length <= FrameType.DATA.mostBytes() - stagedBytes) {
      addSmall(region, address, length);
      return;
    }
    int done = 0;
    while (done < length) {
      int part = region.inOneWindow(address + done, length - done);
      add(region.view(address + done, part));
      done += part;
    }
  }

  private void addSmall(Region region, long address, int length) {
    if (small == smallLengths.length) {
      smallRegions = Arrays.copyOf(smallRegions, 2 * small);
      smallAddresses = Arrays.copyOf(smallAddresses, 2 * small);
      smallLengths = Arrays.copyOf(smallLengths, 2 * small);
    }
    smallRegions[small] = region;
    smallAddresses[small] = address;
    smallLengths[small] = length;
    small++;
    if (lastIsStaged) {
      buffers[end - 1].limit(buffers[end - 1].limit() + length);
      bytes += length;
    } else {
      // Its capacity goes to the end of the staging buffer, so that it can grow.
      ByteBuffer buffer = staging();
      add(buffer.slice(stagedBytes, buffer.capacity() - stagedBytes).limit(length));
      lastIsStaged = true;
    }
    stagedBytes += length;
  }

  /** Made when it is first needed: most connections never move small runs. */
  private ByteBuffer staging() {
    ByteBuffer buffer = staging;
    if (buffer == null) {
      buffer = ByteBuffer.allocateDirect(FrameType.DATA.mostBytes());
      staged = MemorySegment.ofBuffer(buffer);
      staging = buffer;
    }
    return buffer;
  }

  /** Before the payload is sent. */
  void gather() {
    long at = 0;
    for (int i = 0; i < small; i++) {
      smallRegions[i].copyTo(staged, at, smallAddresses[i], smallLengths[i]);
      at += smallLengths[i];
    }
  }

  /** After the payload has arrived. */
  void scatter() {
    long at = 0;
    for (int i = 0; i < small; i++) {
      smallRegions[i].copyFrom(staged, at, smallAddresses[i], smallLengths[i]);
      at += smallLengths[i];
    }
  }

  void add(ByteBuffer buffer) {
    if (end == buffers.length) {
      buffers = Arrays.copyOf(buffers, 2 * end);
      Arrays.fill(buffers, end, buffers.length, NONE);
    }
    buffers[end++] = buffer;
    bytes += buffer.remaining();
    lastIsStaged = false;
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
