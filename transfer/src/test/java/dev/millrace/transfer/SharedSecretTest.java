package dev.millrace.transfer;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.security.SecureRandom;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;

final class SharedSecretTest {
  private static final SharedSecret SECRET = SharedSecret.of("0123456789abcdef".getBytes(UTF_8));

  private static ByteBuffer text(String text) {
    return ByteBuffer.wrap(text.getBytes(UTF_8));
  }

  @Test
  void sign_isHmacSha256OfPurposeAndParts() {
    // printf 'some purpose\0abcd' | openssl dgst -sha256 -hmac 0123456789abcdef
    assertThat(HexFormat.of().formatHex(SECRET.sign("some purpose", text("ab"), text("cd"))))
        .isEqualTo("5554d44ff6634ff2eba9a82e1a55c4544aefa1b6dfc1783ad3c2b145141dfd2f");
  }

  @Test
  void hasSigned_onlyTheSameUnderTheSameSecretForTheSamePurpose() {
    byte[] signature = SECRET.sign("this", text("abcd"));

    assertThat(signature).hasSize(SharedSecret.SIGNATURE_BYTES);
    assertThat(SECRET.hasSigned(signature, "this", text("abcd"))).isTrue();
    assertThat(SECRET.hasSigned(signature, "that", text("abcd"))).isFalse();
    assertThat(SECRET.hasSigned(signature, "this", text("abce"))).isFalse();
    assertThat(SharedSecret.random(new SecureRandom()).hasSigned(signature, "this", text("abcd")))
        .isFalse();
  }

  @Test
  void of_fewerThan16Bytes_isRefusedAndNamesACommand() {
    assertThatThrownBy(() -> SharedSecret.of(new byte[15]))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("16")
        .hasMessageContaining("openssl rand");
  }

  @Test
  void toString_doesNotShowIt() {
    assertThat(SECRET.toString()).doesNotContain("0123");
  }
}
