package dev.millrace.transfer.tcp;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.transfer.Pattern;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.Random;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;

/** Ranges of all sizes in one frame, those that are copied and those that are not. */
final class PiecesTest {
  private static final int MOST = 256 << 10;

  @Test
  void ranges_smallAndLargeInAnyOrder_passUnchanged() {
    Random random = new Random(11);
    try (Arena arena = Arena.ofShared()) {
      MemoryTable table = new MemoryTable();
      MemorySegment source = Pattern.memory(arena, 1 << 20, 3);
      Pieces out = new Pieces();
      Pieces in = new Pieces();
      Region from = table.add(source);
      for (int round = 0; round < 200; round++) {
        MemorySegment target = Pattern.blank(arena, 1 << 20);
        MemorySegment image = Pattern.blank(arena, 1 << 20);
        Region to = table.add(target);
        out.clear();
        in.clear();
        int left = MOST;
        int at = 0;
        while (left > 0) {
          int length = Math.min(left, 1 + random.nextInt(random.nextBoolean() ? 700 : 9000));
          int offset = random.nextInt((1 << 20) - length);
          out.add(from, source.address() + offset, length);
          in.add(to, target.address() + at, length);
          MemorySegment.copy(source, offset, image, at, length);
          // A gap now and then: neighbours must not become one by accident.
          at += length + (random.nextInt(3) == 0 ? 8 : 0);
          left -= length;
        }

        out.gather();
        int checksum = out.checksum(new CRC32C());
        ByteBuffer wire = ByteBuffer.allocate(MOST);
        for (int i = 1; i < out.end(); i++) {
          wire.put(out.buffers()[i]);
        }
        wire.flip();
        for (int i = 1; i < in.end(); i++) {
          ByteBuffer piece = in.buffers()[i];
          piece.put(wire.slice(wire.position(), piece.remaining()));
          wire.position(wire.position() + piece.limit());
        }
        assertThat(in.checksum(new CRC32C())).isEqualTo(checksum);
        in.scatter();

        assertThat(out.bytes()).isEqualTo(MOST);
        assertThat(in.bytes()).isEqualTo(MOST);
        assertThat(wire.hasRemaining()).isFalse();
        assertThat(target.mismatch(image)).isEqualTo(-1);
        to.close();
      }
    }
  }
}
