package dev.millrace.transfer.nixl;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;

/** An owner gets its memory back only when nothing reads it any more, whatever happened between. */
final class LinkTest {
  private static final Region ONE = new Region(0x1000, 0x1000);
  private static final Region OTHER = new Region(0x9000, 0x1000);

  private final Link link =
      new Link(new Link.Target("owner", "owner-1", Link.Language.FRAMES, MemoryKind.DRAM, 0));

  private Claims claimed(Region region) {
    Claims claims = Objects.requireNonNull(link.table().exactly(region));
    assertThat(claims.claim()).isTrue();
    return claims;
  }

  @Test
  void revoke_memoryThatIsRead_isNotFreeBeforeTheReadEnds() {
    link.setRegions(List.of(ONE, OTHER));
    Claims reading = claimed(ONE);

    assertThat(link.revoke(ONE)).isSameAs(reading);
    assertThat(link.revoke(OTHER)).isNull();
    assertThat(link.table().regions()).isEmpty();
    reading.release();
    assertThat(link.revoke(ONE)).isNull();
  }

  @Test
  void revoke_memoryThatDroppedOutWhileItIsRead_isNotFreeBeforeTheReadEnds() {
    link.setRegions(List.of(ONE, OTHER));
    Claims reading = claimed(ONE);
    // Somebody else connects with a description that is older than this memory, and refreshes it.
    link.setRegions(List.of(OTHER));
    link.setRegions(List.of(ONE, OTHER));

    assertThat(reading.claim()).as("nothing begins on the old claims").isFalse();
    assertThat(link.revoke(ONE)).isSameAs(reading);
    reading.release();
    assertThat(link.revoke(ONE)).isNull();
  }

  @Test
  void setRegions_memoryThatStays_keepsItsClaims() {
    link.setRegions(List.of(ONE));
    Claims reading = claimed(ONE);

    link.setRegions(List.of(ONE, OTHER));

    assertThat(link.table().exactly(ONE)).isSameAs(reading);
    assertThat(reading.claim()).isTrue();
  }

  @Test
  void retire_withARequest_isRefused_andWithoutOneNoneCanBegin() {
    assertThat(link.requestBegins()).isTrue();
    assertThat(link.retire()).isFalse();
    link.requestEnds();

    assertThat(link.retire()).isTrue();

    assertThat(link.requestBegins()).isFalse();
    assertThat(link.broken()).isNotNull();
  }

  @Test
  void beginReload_underRequests_keepsFurtherOnesOutUntilItIsOver() {
    assertThat(link.requestBegins()).isTrue();

    assertThat(link.beginReload()).isFalse();
    assertThat(link.requestBegins()).as("a stream of requests must not put it off").isFalse();
    link.requestEnds();
    assertThat(link.beginReload()).isTrue();
    assertThat(link.requestBegins()).isFalse();
    link.endReload();

    assertThat(link.requestBegins()).isTrue();
  }
}
