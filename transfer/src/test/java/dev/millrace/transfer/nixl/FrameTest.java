package dev.millrace.transfer.nixl;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.transfer.SharedSecret;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Frames come back as they were, and only between the two ends that they were made for. */
final class FrameTest {
  private static final SharedSecret SECRET = SharedSecret.of("0123456789abcdef".getBytes(UTF_8));
  private static final SharedSecret OTHER = SharedSecret.of("fedcba9876543210".getBytes(UTF_8));
  private static final Region REGION = new Region(4096, 1 << 20);
  private static final Frame.Body BODY = Frame.Body.of(new byte[] {0, 1, (byte) 0xff});

  static List<Frame> frames() {
    return List.of(
        new Frame.Hello(BODY),
        new Frame.Welcome(7, List.of(REGION, new Region(1, 1))),
        new Frame.Welcome(7, List.of()),
        new Frame.Deliver(Frame.Body.of(new byte[0])),
        new Frame.Confirm(Long.MAX_VALUE, Frame.Taken.NOBODY_LISTENS),
        new Frame.Ask(),
        new Frame.Answer(3, BODY),
        new Frame.Revoke(REGION, BODY),
        new Frame.Revoked(REGION),
        new Frame.Closing(),
        new Frame.Knock(),
        new Frame.Bye());
  }

  private static byte[] seal(Frame frame) {
    return Frame.seal(new Frame.Numbered(42, frame), "left", "right", SECRET);
  }

  @ParameterizedTest
  @MethodSource("frames")
  void open_whatWasSealed_givesItBack(Frame frame) {
    assertThat(Frame.isFrame(seal(frame))).isTrue();
    assertThat(Frame.open(seal(frame), "left", "right", SECRET))
        .contains(new Frame.Numbered(42, frame));
  }

  @ParameterizedTest
  @MethodSource("frames")
  void open_anyByteChangedOrCut_isRefused(Frame frame) {
    byte[] sealed = seal(frame);
    for (int at = 0; at < sealed.length; at++) {
      byte[] altered = sealed.clone();
      altered[at] ^= 0x10;
      assertThat(Frame.open(altered, "left", "right", SECRET)).isEmpty();
      assertThat(Frame.open(Arrays.copyOf(sealed, at), "left", "right", SECRET)).isEmpty();
    }
  }

  @ParameterizedTest
  @MethodSource("frames")
  void open_betweenOtherEnds_isRefused(Frame frame) {
    byte[] sealed = seal(frame);

    assertThat(Frame.open(sealed, "right", "left", SECRET)).isEmpty();
    assertThat(Frame.open(sealed, "left", "third", SECRET)).isEmpty();
    assertThat(Frame.open(sealed, "left", "right", OTHER)).isEmpty();
  }
}
