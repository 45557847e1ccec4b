package dev.millrace.config;

import static dev.millrace.config.Complaints.quote;

import java.util.Optional;

/** One stage of a route: its pool, and how a worker of it is chosen. */
final class StageReader {
  private final PoolsReader pools;

  StageReader(PoolsReader pools) {
    this.pools = pools;
  }

  Optional<Stage> prefill(Field self, Optional<ModelPattern> asked) {
    return read(self, Role.PREFILL, asked, true, Optional.empty());
  }

  /**
   * The decode stage.
   *
   * @param asked for which models its engines are asked
   * @param disaggregated whether the route has a prefill stage
   * @param prefill that stage, if it could be read
   */
  Optional<Stage> decode(
      Field self, Optional<ModelPattern> asked, boolean disaggregated, Optional<Stage> prefill) {
    return read(self, Role.DECODE, asked, disaggregated, prefill);
  }

  private Optional<Stage> read(
      Field self,
      Role role,
      Optional<ModelPattern> asked,
      boolean disaggregated,
      Optional<Stage> prefill) {
    Optional<Section> section = self.section();
    if (section.isEmpty()) {
      return Optional.empty();
    }
    Section stage = section.get();
    Optional<Field> field = stage.require("pool", "the name of a " + role.keyword() + " pool");
    Optional<Field> named = stage.find("policy");
    // Empty if it cannot be read: nothing is then said of keys that only some policies have.
    Optional<Policy> policy =
        named.isPresent() ? named.get().choice(Policy.values()) : Optional.of(Policy.ROUND_ROBIN);
    Optional<Field> ofSession = stage.find("session");
    Optional<SessionKey> session = policy.flatMap(given -> session(given, named, ofSession));
    Optional<Field> same = role == Role.DECODE ? stage.find("prefer-same") : Optional.empty();
    int percent =
        balance(stage, policy.map(StageReader::hasAffinity).orElse(true) || same.isPresent());
    stage.refuseOtherKeys();
    Optional<String> pool = field.flatMap(Field::text);
    if (pool.isPresent() && !pools.serves(field.get(), pool.get(), role, asked, disaggregated)) {
      return Optional.empty();
    }
    prefill.ifPresent(
        other -> pool.ifPresent(own -> pools.requireSameModel(field.get(), own, other.pool())));
    Optional<String> label =
        disaggregated
            ? same.flatMap(Field::text)
            : same.flatMap(given ->
                given.refuse("compares with the prefill worker; it is for decode beside prefill"));
    label.ifPresent(text -> {
      prefill.ifPresent(other -> requireLabel(same.get(), text, other.pool()));
      pool.ifPresent(own -> requireLabel(same.get(), text, own));
    });
    return policy
        .filter(given -> session.isPresent() == (given == Policy.SESSION_AFFINITY))
        .flatMap(given -> pool.map(name -> new Stage(name, given, session, label, percent)));
  }

  private static boolean hasAffinity(Policy policy) {
    return policy == Policy.SESSION_AFFINITY || policy == Policy.PREFIX_AFFINITY;
  }

  private static int balance(Section stage, boolean bounds) {
    Optional<Field> field = stage.find("balance-percent");
    if (field.isPresent() && !bounds) {
      field
          .get()
          .complain(
              "bounds nothing here; it is for session-affinity, prefix-affinity and prefer-same");
    }
    return field
        .flatMap(
            percent -> percent.integer(Stage.LEAST_BALANCE_PERCENT, Stage.MOST_BALANCE_PERCENT))
        .orElse(Stage.BALANCE_PERCENT);
  }

  private static Optional<SessionKey> session(
      Policy policy, Optional<Field> named, Optional<Field> session) {
    if (policy == Policy.SESSION_AFFINITY && session.isEmpty()) {
      named
          .orElseThrow()
          .complain(
              "session-affinity needs \"session\": where requests name theirs, {header: NAME} or"
                  + " {field: NAME}");
    }
    if (policy != Policy.SESSION_AFFINITY && session.isPresent()) {
      return session
          .get()
          .refuse("is for policy session-affinity, this stage has " + policy.keyword());
    }
    return session.flatMap(StageReader::sessionKey);
  }

  /** Where requests name their session, of two places one. */
  static Optional<SessionKey> sessionKey(Field self) {
    Optional<Section> section = self.section();
    if (section.isEmpty()) {
      return Optional.empty();
    }
    Optional<Field> header = section.get().find("header");
    Optional<Field> body = section.get().find("field");
    section.get().refuseOtherKeys();
    if (header.isPresent() == body.isPresent()) {
      return self.refuse("needs either \"header\" or \"field\", with the name of one");
    }
    return header.isPresent()
        ? header.get().text().flatMap(name -> header(header.get(), name))
        : body.get().text().map(SessionKey.BodyField::new);
  }

  private static Optional<SessionKey> header(Field field, String name) {
    return MatchReader.HEADER.matcher(name).matches()
        ? Optional.of(new SessionKey.Header(name))
        : field.refuse(
            "%s is not the name of a header; such as x-session-id".formatted(quote(name)));
  }

  private void requireLabel(Field field, String label, String pool) {
    pools
        .labels(pool)
        .filter(labels -> !labels.contains(label))
        .ifPresent(labels ->
            field.complain(
                "no worker of pool %s has the label %s; %s%s"
                    .formatted(
                        quote(pool),
                        quote(label),
                        labels.isEmpty()
                            ? "none has any, see workers[].labels"
                            : "known: " + String.join(", ", labels),
                        Nearest.hint(label, labels))));
  }
}
