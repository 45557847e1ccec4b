package dev.millrace.config;

import static dev.millrace.config.Absence.or;
import static dev.millrace.config.Absence.otherwise;
import static dev.millrace.config.Absence.required;

import dev.millrace.config.Value.Form;
import dev.millrace.config.Value.Group;
import dev.millrace.config.Value.ListOf;
import dev.millrace.config.Value.Whole;
import dev.millrace.config.Value.Word;
import java.util.List;

/** The keys of a file of access keys. */
final class KeysFileKeys {
  static final List<Key> KEY =
      List.of(
          new Key(
              "name", Word.TEXT, required(), "what records and messages call whoever has the key"),
          new Key(
              "sha256",
              new Form("64 digits of 0-9 and a-f", AccessKey.SHA256),
              otherwise("required without `subject`"),
              "hash of the key"),
          new Key(
              "subject",
              Word.TEXT,
              otherwise("none"),
              "what tokens (JWT) of whoever it is say in `sub`; beside `sha256` or instead"),
          new Key(
              "models",
              new ListOf(Word.TEXT),
              otherwise("all"),
              "that it may ask for; others do not exist for it"),
          new Key(
              "priority",
              new Whole(-AccessKey.MOST_PRIORITY, AccessKey.MOST_PRIORITY),
              or(AccessKey.DEFAULT_PRIORITY),
              "while it waits for a place on a route; the higher, the earlier"),
          new Key(
              "concurrent",
              new Whole(1, Limits.MOST),
              otherwise("no bound"),
              "exchanges at a time; more are answered 429 `rate_limit_exceeded`"),
          new Key(
              "requests-per-minute",
              new Whole(1, AccessKey.MOST_PER_MINUTE),
              otherwise("no bound"),
              "on average; ten seconds' worth of them may come at once, more are answered 429 with"
                  + " `Retry-After`"),
          new Key(
              "tokens-per-minute",
              new Whole(1, AccessKey.MOST_TOKENS_PER_MINUTE),
              otherwise("no bound"),
              "of prompts and answers, on average; a minute's worth of them may come at once, see"
                  + " [rates](operations.md#rates-of-keys-and-routes)"));

  static final List<Key> TOKENS =
      List.of(
          new Key(
              "jwks-file",
              Word.PATH,
              required(),
              "the issuer's public keys, a JSON Web Key Set (RFC 7517)"),
          new Key("issuer", Word.TEXT, required(), "what tokens must say in `iss`"),
          new Key("audience", Word.TEXT, required(), "what tokens must have among `aud`"));

  static final List<Key> FILE =
      List.of(
          new Key(
              "keys",
              new ListOf(Group.elsewhere(KEY)),
              required(),
              "the keys by which clients may ask"),
          new Key(
              "tokens",
              Group.of(TOKENS),
              otherwise("none"),
              "whose tokens are believed; needed where a key has a `subject`"));

  private KeysFileKeys() {}
}
