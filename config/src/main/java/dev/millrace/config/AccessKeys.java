package dev.millrace.config;

import static dev.millrace.config.Complaints.quote;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/** Reads the file of keys by which clients may ask. */
public final class AccessKeys {
  private final List<AccessKey> read = new ArrayList<>();
  private final Map<String, Field> named = new HashMap<>();
  private final Map<String, Field> hashed = new HashMap<>();
  private final Map<String, Field> subjects = new HashMap<>();
  private final Path file;
  private Optional<TokenIssuer> issuer = Optional.empty();

  private AccessKeys(Path file) {
    this.file = file;
  }

  /** Reads a file; complaints name it as it was given. */
  public static LoadedKeys read(Path file) {
    return switch (YamlFile.read(file)) {
      case YamlFile.Text(String text) -> parse(file.toString(), text);
      case YamlFile.Unreadable(Complaint complaint) -> new LoadedKeys.Invalid(List.of(complaint));
    };
  }

  /**
   * Reads a text.
   *
   * @param name what complaints call it, and beside what other files are looked for
   * @param text YAML 1.2
   */
  public static LoadedKeys parse(String name, String text) {
    Complaints complaints = new Complaints(name);
    AccessKeys keys = new AccessKeys(Path.of(name));
    YamlText.compose(text, complaints)
        .flatMap(root -> new Field("", root, complaints).section())
        .ifPresent(keys::all);
    return complaints.none()
        ? new LoadedKeys.Valid(keys.read, keys.issuer)
        : new LoadedKeys.Invalid(complaints.ordered());
  }

  /** The JSON Schema (draft 2020-12) of such files, as maps, lists, strings and numbers. */
  public static Map<String, Object> schema() {
    return JsonSchema.of("Millrace access keys", KeysFileKeys.FILE);
  }

  private void all(Section top) {
    top.require("keys", "a list of {name, sha256}")
        .flatMap(Field::items)
        .orElse(List.of())
        .forEach(item -> item.section().ifPresent(this::one));
    issuer = top.part("tokens", Optional.empty(), this::issuer);
    top.refuseOtherKeys();
    if (top.find("tokens").isEmpty()) {
      subjects
          .values()
          .forEach(subject ->
              subject.complain(
                  "is for tokens, and nobody's are believed; write whose, under \"tokens\""));
    }
  }

  private Optional<TokenIssuer> issuer(Section tokens) {
    Optional<Path> jwks =
        tokens
            .require("jwks-file", "the file with the issuer's public keys")
            .flatMap(field -> field.path(file));
    Optional<String> named =
        tokens.require("issuer", "what tokens say in \"iss\"").flatMap(Field::text);
    Optional<String> audience =
        tokens.require("audience", "what tokens say in \"aud\"").flatMap(Field::text);
    return jwks.flatMap(
        keys -> named.flatMap(who -> audience.map(whom -> new TokenIssuer(keys, who, whom))));
  }

  private void one(Section key) {
    Optional<String> name =
        key.require("name", "what whoever has the key is called")
            .flatMap(field -> unique(field, field.text(), named));
    Optional<Field> subjectField = key.find("subject");
    Optional<String> subject = subjectField.flatMap(field -> unique(field, field.text(), subjects));
    Optional<Field> hashField =
        subjectField.isPresent()
            ? key.find("sha256")
            : key.require(
                "sha256", "the key's hash, from millrace keys new NAME; or \"subject\", of tokens");
    Optional<String> sha256 = hashField.flatMap(field -> unique(field, hash(field), hashed));
    Set<String> models = new HashSet<>();
    key.find("models")
        .flatMap(Field::items)
        .ifPresent(items -> items.forEach(item -> item.text().ifPresent(models::add)));
    int priority =
        key.integer(
            "priority",
            -AccessKey.MOST_PRIORITY,
            AccessKey.MOST_PRIORITY,
            AccessKey.DEFAULT_PRIORITY);
    OptionalInt concurrent = count(key, "concurrent", Limits.MOST);
    OptionalInt requests = count(key, "requests-per-minute", AccessKey.MOST_PER_MINUTE);
    OptionalInt tokens = count(key, "tokens-per-minute", AccessKey.MOST_TOKENS_PER_MINUTE);
    key.refuseOtherKeys();
    if (name.isPresent() && (sha256.isPresent() || subject.isPresent())) {
      read.add(
          new AccessKey(
              name.get(), sha256, subject, models, priority, concurrent, requests, tokens));
    }
  }

  private static OptionalInt count(Section key, String what, int most) {
    return key.find(what)
        .flatMap(value -> value.integer(1, most))
        .map(OptionalInt::of)
        .orElse(OptionalInt.empty());
  }

  /** A key itself in this place would be printed with the complaint, so it is not. */
  private static Optional<String> hash(Field field) {
    return field
        .text()
        .flatMap(text ->
            AccessKey.SHA256.matcher(text).matches()
                ? Optional.of(text)
                : field.refuse(
                    "is not a SHA-256 hash, which has 64 digits of 0-9 and a-f; millrace keys new"
                        + " NAME makes a key and its hash"));
  }

  private static Optional<String> unique(
      Field field, Optional<String> text, Map<String, Field> before) {
    if (text.isEmpty()) {
      return text;
    }
    Field first = before.putIfAbsent(text.get(), field);
    return first == null
        ? text
        : field.refuse(
            "%s stands already on line %d; every key has its own"
                .formatted(quote(text.get()), Place.of(first.node()).line()));
  }
}
