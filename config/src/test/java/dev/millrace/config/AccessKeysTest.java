package dev.millrace.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class AccessKeysTest {
  private static final String HASH = "ab".repeat(32);

  @Test
  void everyKeyOfAKey_isRead() {
    LoadedKeys loaded =
        AccessKeys.parse(
            "keys.yaml",
            """
            tokens: {jwks-file: keys/jwks.json, issuer: i, audience: m}
            keys:
              - {name: a, sha256: HASH, subject: a@b, models: [m, n], priority: -3, concurrent: 2, requests-per-minute: 60, tokens-per-minute: 7000}
            """
                .replace("HASH", HASH));

    assertThat(loaded)
        .isEqualTo(
            new LoadedKeys.Valid(
                java.util.List.of(
                    new AccessKey(
                        "a",
                        Optional.of(HASH),
                        Optional.of("a@b"),
                        Set.of("m", "n"),
                        -3,
                        OptionalInt.of(2),
                        OptionalInt.of(60),
                        OptionalInt.of(7000))),
                Optional.of(new TokenIssuer(Path.of("keys/jwks.json"), "i", "m"))));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          keys: []                                             | keys.yaml:1:7: keys: is an empty list
          {}                                                   | keys.yaml:1:1: "keys" is missing
          keys: [{sha256: HASH}]                               | keys.yaml:1:8: keys[0]: "name" is missing
          keys: [{name: a}]                                    | keys.yaml:1:8: keys[0]: "sha256" is missing
          keys: [{name: a, subject: s}]                        | keys.yaml:1:27: keys[0].subject: is for tokens, and nobody's are believed; write whose, under "tokens"
          {keys: [{name: a, subject: s}], tokens: {issuer: i}} | tokens: "jwks-file" is missing
          {keys: [{name: a, subject: s}, {name: b, subject: s}]} | keys[1].subject: "s" stands already on line 1
          keys: [{name: a, sha256: mr-key}]                    | keys.yaml:1:26: keys[0].sha256: is not a SHA-256 hash
          keys: [{name: a, sha256: HASH, priority: 101}]       | keys[0].priority: is 101, must be -100 to 100
          keys: [{name: a, sha256: HASH, concurrent: 0}]       | keys[0].concurrent: is 0, must be 1 to
          keys: [{name: a, sha256: HASH, requests-per-min: 5}] | keys[0].requests-per-min: is not a known key
          keys: [{name: a, sha256: HASH}, {name: a, sha256: B}]| keys[1].name: "a" stands already on line 1
          """)
  void mistakes_areNamedWithTheirPlaceAndNoKeyIsPrinted(String text, String complaint) {
    LoadedKeys loaded =
        AccessKeys.parse(
            "keys.yaml", text.replace("HASH", HASH).replace("B}", "cd".repeat(32) + "}"));

    assertThat(loaded).isInstanceOf(LoadedKeys.Invalid.class);
    String all = ((LoadedKeys.Invalid) loaded).complaints().toString();
    assertThat(all).contains(complaint).doesNotContain("mr-key");
  }
}
