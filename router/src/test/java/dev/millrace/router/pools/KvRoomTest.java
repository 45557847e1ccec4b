package dev.millrace.router.pools;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayDeque;
import java.util.Deque;
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

  private static KvRoom.Look look(double used, int running, int waiting) {
    return new KvRoom.Look(used, running, waiting);
  }

  @Test
  void has_whatIsLeftOfTheShare() {
    KvRoom room = new KvRoom(90);
    room.sized(1000);
    room.take(500);

    assertThat(room.has(400)).isTrue();
    assertThat(room.has(401)).isFalse();
    room.become(100);
    assertThat(room.has(500)).isTrue();
  }

  @Test
  void has_whereNothingIsKnown_anything() {
    KvRoom room = new KvRoom(95);
    room.take(1 << 30);

    assertThat(room.has(1 << 30)).isTrue();
  }

  @Test
  void has_aPromptLargerThanTheCache_ifNothingElseIsThere() {
    KvRoom room = room(1000);

    assertThat(room.has(5000)).isTrue();
    room.take(5000);
    assertThat(room.has(1)).isFalse();
    room.giveBack(5000);
    assertThat(room.has(1)).isTrue();
  }

  @Test
  void looked_whatIsUsedBeyondOurs_isOfOthers() {
    KvRoom room = room(1000);
    room.take(300);

    room.looked(look(0.5, 2, 0));

    assertThat(room.view()).isEqualTo(new KvRoom.View(1000, 300, 200, 0));
    assertThat(room.has(500)).isTrue();
    assertThat(room.has(501)).isFalse();
    room.looked(look(0.1, 1, 0));
    assertThat(room.view().others()).as("ours are not there yet").isZero();
  }

  @Test
  void looked_requestsWaitForCapacityTwice_itHasAsManyStreamsAsItRuns() {
    KvRoom room = room(1000);
    room.take(10);
    room.take(10);

    room.looked(look(0.02, 2, 1));
    assertThat(room.has(10)).as("they may have come just now").isTrue();
    room.looked(look(0.02, 2, 1));

    assertThat(room.view().mostStreams()).isEqualTo(2);
    assertThat(room.has(10)).isFalse();
    room.giveBack(10);
    assertThat(room.has(10)).isTrue();
  }

  @Test
  void looked_nobodyWaitsAnyMore_itIsGivenMore() {
    KvRoom room = room(1000);
    for (int i = 0; i < 8; i++) {
      room.take(1);
    }
    room.looked(look(0, 8, 1));
    room.looked(look(0, 8, 1));

    room.looked(look(0, 5, 0));
    assertThat(room.view().mostStreams()).as("the bound was not reached").isEqualTo(8);
    room.looked(look(0, 8, 0));

    assertThat(room.view().mostStreams()).isEqualTo(11);
  }

  @Test
  void sized_anotherEngine_isNotBoundByWhatTheOneBeforeCould() {
    KvRoom room = room(1000);
    room.take(1);
    room.looked(look(0.9, 1, 1));
    room.looked(look(0.9, 1, 1));

    room.sized(2000);

    assertThat(room.view()).isEqualTo(new KvRoom.View(2000, 1, 0, 0));
  }

  /** Whatever comes and goes: no more is given away than there is, and everything comes back. */
  @Property(tries = 300)
  void given_neverMoreThanThereIs(
      @ForAll long seed, @ForAll @IntRange(min = 1, max = 200) int steps) {
    Random random = new Random(seed);
    KvRoom room = room(10_000);
    Deque<Long> given = new ArrayDeque<>();
    long sum = 0;
    for (int i = 0; i < steps; i++) {
      long tokens = 1L + random.nextInt(4000);
      boolean had = room.has(tokens);
      assertThat(had).isEqualTo(sum == 0 || sum + tokens <= 10_000);
      if (had && random.nextInt(3) > 0) {
        room.take(tokens);
        given.add(tokens);
        sum += tokens;
      } else if (!given.isEmpty()) {
        long back = given.remove();
        room.giveBack(back);
        sum -= back;
      }
      assertThat(room.view().reserved()).isEqualTo(sum);
    }
    given.forEach(room::giveBack);
    assertThat(room.view().reserved()).isZero();
  }
}
