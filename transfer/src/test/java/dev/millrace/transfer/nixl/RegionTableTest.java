package dev.millrace.transfer.nixl;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.math.BigInteger;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.LongRange;
import org.junit.jupiter.api.Test;

/** Bounds hold for every 64-bit address and length; arithmetic without a limit is the judge. */
final class RegionTableTest {
  private static final BigInteger TWO_TO_64 = BigInteger.ONE.shiftLeft(64);

  private static BigInteger unsigned(long value) {
    BigInteger exact = BigInteger.valueOf(value);
    return value < 0 ? exact.add(TWO_TO_64) : exact;
  }

  @Property
  void contains_agreesWithExactArithmetic(
      @ForAll long base,
      @ForAll @LongRange(min = 1) long bytes,
      @ForAll long address,
      @ForAll long length) {
    assertAgrees(base, bytes, address, length);
    assertAgrees(base, bytes, base + (address & 0xffff), length & 0x1ffff);
    assertAgrees(base, bytes, base - (address & 0xff), length & 0x1ffff);
    assertAgrees(base, bytes, base + bytes - (address & 0xff), length & 0x1ff);
  }

  private static void assertAgrees(long base, long bytes, long address, long length) {
    BigInteger end = unsigned(base).add(BigInteger.valueOf(bytes));
    if (base == 0 || end.compareTo(TWO_TO_64.subtract(BigInteger.ONE)) > 0) {
      assertThatThrownBy(() -> new Region(base, bytes))
          .isInstanceOf(IllegalArgumentException.class);
      return;
    }
    boolean inside =
        length >= 1
            && unsigned(address).compareTo(unsigned(base)) >= 0
            && unsigned(address).add(unsigned(length)).compareTo(end) <= 0;
    assertThat(RegionTable.of(List.of(new Region(base, bytes))).find(address, length) != null)
        .isEqualTo(inside);
  }

  @Test
  void find_amongMany_findsTheOneThatHoldsAll() {
    RegionTable table =
        RegionTable.of(
            List.of(
                new Region(0xffff_0000_0000_0000L, 100),
                new Region(1000, 100),
                new Region(1100, 100),
                new Region(3000, 1)));

    assertThat(table.find(1050, 50)).isNotNull();
    assertThat(table.find(1050, 51)).as("across two regions").isNull();
    assertThat(table.find(999, 1)).isNull();
    assertThat(table.find(3000, 1)).isNotNull();
    assertThat(table.find(3001, 1)).isNull();
    assertThat(table.find(0xffff_0000_0000_0063L, 1)).isNotNull();
    assertThat(RegionTable.EMPTY.find(1, 1)).isNull();
  }

  @Test
  void of_viewsOfTheSameMemory_keepsTheLargest() {
    RegionTable table =
        RegionTable.of(List.of(new Region(1000, 50), new Region(1000, 100), new Region(1010, 20)));

    assertThat(table.regions()).containsExactly(new Region(1000, 100));
  }

  @Test
  void of_partialOverlap_isRefused() {
    assertThatThrownBy(() -> RegionTable.of(List.of(new Region(1000, 100), new Region(1050, 100))))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void batch_neighboursInOneRegion_becomeOneDescriptor() {
    Claims source = new Claims(new Region(1000, 100));
    Claims next = new Claims(new Region(1100, 100));
    Claims target = new Claims(new Region(5000, 1000));
    Batch batch = new Batch(8);

    assertThat(batch.add(source, 1000, target, 5000, 50)).isTrue();
    assertThat(batch.add(source, 1050, target, 5050, 50)).isTrue();
    assertThat(batch.add(next, 1100, target, 5100, 50)).as("another region").isTrue();
    assertThat(batch.add(next, 1160, target, 5150, 10)).as("a gap").isTrue();

    assertThat(batch.size()).isEqualTo(3);
    assertThat(batch.bytes(0)).isEqualTo(100);
    assertThat(batch.bytes()).isEqualTo(160);
    assertThat(batch.writes(new Region(5099, 1))).isTrue();
    assertThat(batch.writes(new Region(5160, 10))).isFalse();
    assertThat(source.count()).isEqualTo(1);
    batch.release();
    assertThat(source.count() + next.count() + target.count()).isZero();
  }

  @Test
  void claims_closed_takesNoNewOnesAndTellsTheLast() {
    Claims claims = new Claims(new Region(1000, 100));
    boolean[] told = new boolean[1];
    assertThat(claims.claim()).isTrue();

    claims.closeThen(() -> told[0] = true);

    assertThat(claims.claim()).isFalse();
    assertThat(told[0]).isFalse();
    claims.release();
    assertThat(told[0]).isTrue();
  }
}
