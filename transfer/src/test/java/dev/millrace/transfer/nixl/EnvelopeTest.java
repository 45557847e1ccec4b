package dev.millrace.transfer.nixl;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.transfer.SharedSecret;
import dev.millrace.transfer.TransferException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What is not exactly a description under our secret is refused before NIXL could see it. */
final class EnvelopeTest {
  private static final SharedSecret SECRET = SharedSecret.of("0123456789abcdef".getBytes(UTF_8));
  private static final SharedSecret OTHER = SharedSecret.of("fedcba9876543210".getBytes(UTF_8));
  private static final List<Region> REGIONS =
      List.of(new Region(0x7f0000001000L, 4096), new Region(0xffff_8000_0000_0000L, 1L << 40));

  private static Envelope envelope() {
    byte[] metadata = new byte[453];
    Arrays.fill(metadata, (byte) 'm');
    return new Envelope(new Envelope.Identity("owner", "owner-1", "1.5.1"), REGIONS, metadata);
  }

  @Test
  void open_whatWasSealed_givesItBack() {
    Envelope opened = Envelope.open(envelope().seal(SECRET), SECRET);

    assertThat(opened.label()).isEqualTo("owner");
    assertThat(opened.agentName()).isEqualTo("owner-1");
    assertThat(opened.nixlVersion()).isEqualTo("1.5.1");
    assertThat(opened.regions()).isEqualTo(REGIONS);
    assertThat(opened.metadata()).isEqualTo(envelope().metadata());
  }

  @Test
  void open_anyBitChanged_isRefused() {
    byte[] sealed = envelope().seal(SECRET);
    for (int at = 0; at < sealed.length; at++) {
      for (int bit = 0; bit < 8; bit++) {
        byte[] altered = sealed.clone();
        altered[at] ^= (byte) (1 << bit);
        assertThatThrownBy(() -> Envelope.open(altered, SECRET))
            .as("bit %d of byte %d", bit, at)
            .isInstanceOf(TransferException.class);
      }
    }
  }

  @Test
  void open_cutAnywhere_isRefused() {
    byte[] sealed = envelope().seal(SECRET);
    for (int length = 0; length < sealed.length; length++) {
      byte[] cut = Arrays.copyOf(sealed, length);
      assertThatThrownBy(() -> Envelope.open(cut, SECRET)).isInstanceOf(TransferException.class);
    }
  }

  @Test
  void open_longer_isRefused() {
    byte[] sealed = envelope().seal(SECRET);

    assertThatThrownBy(() -> Envelope.open(Arrays.copyOf(sealed, sealed.length + 1), SECRET))
        .isInstanceOf(TransferException.class);
  }

  @Test
  void open_ofAStranger_isRefusedAndNamesTheRemedy() {
    byte[] sealed = envelope().seal(OTHER);

    assertThatThrownBy(() -> Envelope.open(sealed, SECRET))
        .isInstanceOf(TransferException.class)
        .hasMessageContaining("owner")
        .hasMessageContaining("same");
  }

  @Test
  void open_signedForAnotherPurpose_isRefused() {
    byte[] sealed = envelope().seal(SECRET);
    int signed = sealed.length - SharedSecret.SIGNATURE_BYTES;
    byte[] signature = SECRET.sign("something else", ByteBuffer.wrap(sealed, 0, signed));
    System.arraycopy(signature, 0, sealed, signed, signature.length);

    assertThatThrownBy(() -> Envelope.open(sealed, SECRET)).isInstanceOf(TransferException.class);
  }

  @Test
  void seal_moreRegionsThanCanTravel_isRefused() {
    Envelope large =
        new Envelope(
            new Envelope.Identity("owner", "owner-1", "1.5.1"),
            Collections.nCopies(5000, new Region(4096, 4096)),
            new byte[1]);

    assertThatThrownBy(() -> large.seal(SECRET))
        .isInstanceOf(TransferException.class)
        .hasMessageContaining("fewer");
  }

  @Test
  void versionPairs_untriedOrUnknown_areRefused() {
    assertThat(VersionPairs.refuse("1.5.1", "1.5.1")).isEmpty();
    assertThat(VersionPairs.refuse("1.5.1", "1.4.0")).isEmpty();
    assertThat(VersionPairs.refuse("1.4.0", "1.5.1")).isEmpty();
    assertThat(VersionPairs.refuse("1.5.1", "1.0.0")).get().asString().contains("1.0.0");
    assertThat(VersionPairs.refuse("1.5.1", "unknown")).get().asString().contains("the peer");
    assertThat(VersionPairs.refuse("unknown", "unknown")).isPresent();
  }
}
