package dev.millrace.router.pools;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

class KvRoomTest {
  private static KvRoom room(long total) {
    KvRoom room = new KvRoom(100);
    room.sized(total);
    return room;
  }

  private static void look(KvRoom room, double used, int running, int waiting) {
    room.lookBegins();
    room.looked(new KvRoom.Look(used, running, waiting));
  }

  @Test
  void has_whatIsLeftOfTheShare() {
    KvRoom room = new KvRoom(90);
    room.sized(1000);
    KvRoom.Share share = room.take(500);

    assertThat(room.has(400)).isTrue();
    assertThat(room.has(401)).isFalse();
    room.become(100);
    assertThat(room.has(500)).isTrue();
    share.become(600);
    assertThat(room.has(400)).isTrue();
    assertThat(room.has(401)).isFalse();
  }

  @Test
  void has_whereNothingIsKnown_anything() {
    KvRoom room = new KvRoom(95);
    KvRoom.Share _ = room.take(1 << 30);

    assertThat(room.has(1 << 30)).isTrue();
  }

  @Test
  void has_aPromptLargerThanTheCache_ifNothingElseIsThere() {
    KvRoom room = room(1000);

    assertThat(room.has(5000)).isTrue();
    KvRoom.Share share = room.take(5000);
    assertThat(room.has(1)).isFalse();
    share.giveBack();
    assertThat(room.has(1)).isTrue();
  }

  @Test
  void looked_whatIsUsedBeyondOurs_isOfOthers() {
    KvRoom room = room(1000);
    KvRoom.Share share = room.take(300);
    share.arrived();

    look(room, 0.5, 2, 0);

    assertThat(room.has(500)).isTrue();
    assertThat(room.has(501)).isFalse();
  }

  @Test
  void looked_promptsShareTheirBeginning_itCountsOnce() {
    KvRoom room = room(1000);
    for (int i = 0; i < 4; i++) {
      room.take(200).arrived();
    }
    assertThat(room.has(250)).isFalse();

    look(room, 0.3, 4, 0);

    assertThat(room.has(700)).isTrue();
    assertThat(room.has(701)).isFalse();
    KvRoom.Share later = room.take(200);
    assertThat(room.has(500)).as("it has come since").isTrue();
    assertThat(room.has(501)).isFalse();
    later.arrived();
    room.lookBegins();
    assertThat(room.has(501)).as("not before the look has ended").isFalse();
    room.looked(new KvRoom.Look(0.32, 5, 0));
    assertThat(room.has(680)).isTrue();
  }

  @Test
  void giveBack_amidALook_isForgottenAllTheSame() {
    KvRoom room = room(1000);
    KvRoom.Share seen = room.take(100);
    seen.arrived();
    KvRoom.Share late = room.take(100);
    room.lookBegins();
    late.arrived();

    seen.giveBack();
    late.giveBack();
    room.looked(new KvRoom.Look(0, 0, 0));

    assertThat(room.view()).isEqualTo(new KvRoom.View(1000, 0, 0, 0, 0));
  }

  @Test
  void looked_requestsWaitForCapacityTwice_itHasAsManyStreamsAsItRuns() {
    KvRoom room = room(1000);
    KvRoom.Share share = room.take(10);
    room.take(10).arrived();

    look(room, 0.02, 2, 1);
    assertThat(room.has(10)).as("they may have come just now").isTrue();
    look(room, 0.02, 2, 1);

    assertThat(room.view().mostStreams()).isEqualTo(2);
    assertThat(room.has(10)).isFalse();
    share.giveBack();
    assertThat(room.has(10)).isTrue();
  }

  @Test
  void looked_nobodyWaitsAnyMore_itIsGivenMore() {
    KvRoom room = room(1000);
    for (int i = 0; i < 8; i++) {
      room.take(1).arrived();
    }
    look(room, 0, 8, 1);
    look(room, 0, 8, 1);

    look(room, 0, 5, 0);
    assertThat(room.view().mostStreams()).as("the bound was not reached").isEqualTo(8);
    look(room, 0, 8, 0);

    assertThat(room.view().mostStreams()).isEqualTo(11);
  }

  @Test
  void sized_anotherEngine_isNotBoundByWhatTheOneBeforeCould() {
    KvRoom room = room(1000);
    KvRoom.Share _ = room.take(1);
    look(room, 0.9, 1, 1);
    look(room, 0.9, 1, 1);

    room.sized(2000);

    assertThat(room.view()).isEqualTo(new KvRoom.View(2000, 1, 0, 1, 0));
  }

  private static final class Exchange {
    final KvRoom.Share share;
    final long tokens;
    boolean arrived;

    Exchange(KvRoom.Share share, long tokens) {
      this.share = share;
      this.tokens = tokens;
    }
  }

  /**
   * Whatever comes, arrives, goes and is looked at: an engine whose prompts share nothing never has
   * more than there is, and in the end nothing is left over.
   */
  @Property(tries = 300)
  void given_neverMoreThanThereIs(
      @ForAll long seed, @ForAll @IntRange(min = 1, max = 300) int steps) {
    Random random = new Random(seed);
    KvRoom room = room(10_000);
    List<Exchange> open = new ArrayList<>();
    for (int i = 0; i < steps; i++) {
      long tokens = 1L + random.nextInt(4000);
      long needed = open.stream().mapToLong(each -> each.tokens).sum();
      assertThat(room.view().reserved()).isEqualTo(needed);
      if (room.has(tokens)) {
        assertThat(open.isEmpty() || needed + tokens <= 10_000).isTrue();
        open.add(new Exchange(room.take(tokens), tokens));
      }
      if (!open.isEmpty()) {
        Exchange one = open.get(random.nextInt(open.size()));
        if (random.nextBoolean()) {
          one.share.arrived();
          one.arrived = true;
        } else {
          one.share.giveBack();
          open.remove(one);
        }
      }
      if (random.nextInt(4) == 0) {
        long used = open.stream().filter(each -> each.arrived).mapToLong(each -> each.tokens).sum();
        look(room, used / 10_000.0, open.size(), 0);
      }
    }
    open.forEach(each -> each.share.giveBack());
    look(room, 0, 0, 0);
    assertThat(room.view()).isEqualTo(new KvRoom.View(10_000, 0, 0, 0, 0));
  }
}
