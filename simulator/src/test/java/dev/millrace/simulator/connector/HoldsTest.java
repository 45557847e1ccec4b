package dev.millrace.simulator.connector;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.simulator.ManualClock;
import dev.millrace.simulator.VllmRelease;
import dev.millrace.simulator.core.Counters;
import dev.millrace.transfer.sidechannel.ConnectorVersion;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class HoldsTest {
  private final ManualClock clock = new ManualClock();
  private final Counters counters = new Counters();
  private final List<Integer> released = new ArrayList<>();

  private Holds holds(int ranks) {
    return holds(ranks, VllmRelease.RECORDED);
  }

  private Holds holds(int ranks, VllmRelease release) {
    return new Holds(
        ranks,
        release,
        Duration.ofSeconds(30),
        clock,
        counters,
        blocks -> {
          for (int block : blocks) {
            released.add(block);
          }
        });
  }

  private static byte[] message(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private void after(Holds holds, long seconds) {
    clock.advance(Duration.ofSeconds(seconds));
    holds.reap();
  }

  @Test
  void lease_withoutSign_endsAfterThirtySeconds() {
    Holds holds = holds(1);
    holds.add("cmpl-a-0-1", new int[] {7, 8});
    after(holds, 29);
    assertThat(released).isEmpty();
    assertThat(holds.heldBlocks()).isEqualTo(2);
    after(holds, 1);
    assertThat(released).containsExactly(7, 8);
    assertThat(counters.expiredHandoffs).hasValue(1);
    assertThat(holds.heldBlocks()).isZero();
  }

  @Test
  void heartbeat_lateInTheLease_extendsToTwentySecondsFromNow() {
    Holds holds = holds(1);
    holds.add("a", new int[] {1});
    holds.add("b", new int[] {2});
    holds.add("c", new int[] {3});
    after(holds, 25);
    holds.notified(0, message("HB:a,b"));
    after(holds, 19);
    assertThat(released).containsExactly(3);
    after(holds, 1);
    assertThat(released).containsExactlyInAnyOrder(3, 1, 2);
  }

  @Test
  void heartbeat_earlyInTheLease_doesNotShortenIt() {
    Holds holds = holds(1);
    holds.add("a", new int[] {1});
    holds.notified(0, message("HB:a"));
    after(holds, 29);
    assertThat(released).isEmpty();
  }

  @Test
  void notification_fromAllReadersOfAllRanks_releases() {
    Holds holds = holds(2);
    holds.add("id:with:colons", new int[] {5});
    holds.notified(0, message("id:with:colons:2"));
    holds.notified(1, message("id:with:colons:2"));
    holds.notified(1, message("id:with:colons:2"));
    assertThat(released).isEmpty();
    holds.notified(0, message("id:with:colons:2"));
    assertThat(released).containsExactly(5);
    assertThat(counters.releasedHandoffs).hasValue(1);
  }

  @Test
  void notification_afterExpiry_isCounted() {
    Holds holds = holds(1);
    holds.add("a", new int[] {5});
    after(holds, 31);
    holds.notified(0, message("a:1"));
    holds.notified(0, message("unheard-of:1"));
    assertThat(counters.lateNotifications).hasValue(1);
    assertThat(released).containsExactly(5);
  }

  @Test
  void notification_thatIsNoSuch_isIgnored() {
    Holds holds = holds(1);
    holds.add("a", new int[] {5});
    for (String text : new String[] {"", "a", "a:", "a:x", ":", "HB:", "HB:,,"}) {
      holds.notified(0, message(text));
    }
    assertThat(released).isEmpty();
  }

  @Test
  void readers_upToVersion7_areCountedFromTheirTensorParallelSize() {
    Holds holds = holds(2, new VllmRelease(ConnectorVersion.V7));
    holds.add("a", new int[] {7});
    holds.notified(0, message("a:4"));
    holds.notified(1, message("a:4"));
    holds.notified(0, message("a:4"));
    assertThat(released).isEmpty();
    holds.notified(1, message("a:4"));
    assertThat(released).containsExactly(7);
  }

  @Test
  void heartbeat_beforeThereWereAny_extendsNothing() {
    Holds holds = holds(1, new VllmRelease(ConnectorVersion.V3));
    holds.add("a", new int[] {7});
    after(holds, 20);
    holds.notified(0, message("HB:a"));
    after(holds, 10);
    assertThat(released).containsExactly(7);
    assertThat(counters.heartbeats).hasValue(0);
  }
}
