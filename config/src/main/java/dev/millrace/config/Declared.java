package dev.millrace.config;

import dev.millrace.layout.compatibility.EngineProfile;
import dev.millrace.layout.compatibility.Fact;
import dev.millrace.layout.compatibility.Known;
import dev.millrace.layout.compatibility.Origin;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * What an operator says of engines because nobody else does, or because nobody may be asked: facts,
 * each with the place where it stands. What an engine itself says otherwise is a contradiction that
 * gets reported, not a preference.
 */
public final class Declared {
  private static final Declared NOTHING = new Declared(Map.of());

  private final Map<Fact<?>, Statement<?>> statements;

  /** A fact, what is said of it, and where. */
  private record Statement<T>(Fact<T> fact, Known<T> known) {
    void into(EngineProfile.Builder profile) {
      profile.declare(fact, known.value(), known.where());
    }
  }

  private Declared(Map<Fact<?>, Statement<?>> statements) {
    this.statements = statements;
  }

  /** Everything has to be found out. */
  public static Declared nothing() {
    return NOTHING;
  }

  /**
   * The same with a fact more.
   *
   * @param where the place where it is said
   */
  public <T> Declared with(Fact<T> fact, T value, String where) {
    Map<Fact<?>, Statement<?>> more = new LinkedHashMap<>(statements);
    more.put(fact, new Statement<>(fact, new Known<>(value, Origin.DECLARED, where)));
    return new Declared(more);
  }

  /** The same, if anything is said. */
  <T> Declared with(Fact<T> fact, Optional<T> value, String where) {
    return value.map(said -> with(fact, said, where)).orElse(this);
  }

  /** This, and where it says nothing what is said of the whole pool. */
  public Declared or(Declared pool) {
    Map<Fact<?>, Statement<?>> both = new LinkedHashMap<>(pool.statements);
    both.putAll(statements);
    return new Declared(both);
  }

  /** What is said of a fact. */
  @SuppressWarnings("unchecked") // with() puts only statements of T under a Fact<T>
  public <T> Optional<T> value(Fact<T> fact) {
    return Optional.ofNullable((Statement<T>) statements.get(fact))
        .map(statement -> statement.known().value());
  }

  /** Adds everything to a profile. */
  public void into(EngineProfile.Builder profile) {
    statements.values().forEach(statement -> statement.into(profile));
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Declared that && statements.equals(that.statements);
  }

  @Override
  public int hashCode() {
    return statements.hashCode();
  }

  @Override
  public String toString() {
    return statements.values().toString();
  }
}
