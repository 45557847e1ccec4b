package dev.millrace.layout.compatibility;

import dev.millrace.layout.CacheGroup;
import dev.millrace.layout.GeometrySpec;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/**
 * Everything that is known of one engine: from what an operator declares, from what the engine says
 * when it is asked, and from what follows. Any fact can be missing.
 *
 * <p>Where an engine is asked and an operator has said something, the engine counts, and the
 * contradiction is kept as a {@link Disagreement}. Facts that nobody stated are derived where they
 * follow from others, or where vLLM has a default; {@link Known#where} says from what.
 */
public final class EngineProfile {
  private final String name;
  private final Map<Fact<?>, Known<?>> facts;
  private final List<Disagreement> disagreements;

  private EngineProfile(
      String name, Map<Fact<?>, Known<?>> facts, List<Disagreement> disagreements) {
    this.name = name;
    this.facts = facts;
    this.disagreements = disagreements;
  }

  /**
   * Starts a profile.
   *
   * @param name what people know the engine by, such as its URL
   */
  public static Builder named(String name) {
    return new Builder(name);
  }

  /** What people know the engine by. */
  public String name() {
    return name;
  }

  /** A fact's value. */
  public <T> Optional<T> value(Fact<T> fact) {
    return known(fact).map(Known::value);
  }

  /** A fact with its source. */
  public <T> Optional<Known<T>> known(Fact<T> fact) {
    return fact.in(facts);
  }

  /** All that is known, in the order of {@link Fact#all}. */
  public Map<Fact<?>, Known<?>> facts() {
    return facts;
  }

  /** Where the engine is not what it is said to be. A pair with such an engine is refused. */
  public List<Disagreement> disagreements() {
    return disagreements;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof EngineProfile that
        && name.equals(that.name)
        && facts.equals(that.facts)
        && disagreements.equals(that.disagreements);
  }

  @Override
  public int hashCode() {
    return Objects.hash(name, facts, disagreements);
  }

  /** The name and all facts. */
  @Override
  public String toString() {
    return name + facts;
  }

  /** Collects what is declared and probed. A later statement of the same origin counts. */
  public static final class Builder {
    private final String name;
    private final Map<Fact<?>, Known<?>> declared = new LinkedHashMap<>();
    private final Map<Fact<?>, Known<?>> probed = new LinkedHashMap<>();

    private Builder(String name) {
      this.name = name;
    }

    /**
     * What an operator says.
     *
     * @param where the place where it is said
     */
    public <T> Builder declare(Fact<T> fact, T value, String where) {
      declared.put(fact, new Known<>(value, Origin.DECLARED, where));
      return this;
    }

    /** The same, if anything is said. */
    public <T> Builder declare(Fact<T> fact, Optional<T> value, String where) {
      value.ifPresent(said -> declare(fact, said, where));
      return this;
    }

    /**
     * What the engine says.
     *
     * @param where the answer that says it
     */
    public <T> Builder probe(Fact<T> fact, T value, String where) {
      probed.put(fact, new Known<>(value, Origin.PROBED, where));
      return this;
    }

    /** The same, if it says anything. */
    public <T> Builder probe(Fact<T> fact, Optional<T> value, String where) {
      value.ifPresent(said -> probe(fact, said, where));
      return this;
    }

    /**
     * Parallelism, block size, layout and model shape at once. A layout of one layer per tensor
     * says how blocks are ordered, not that the connector keeps layers apart.
     */
    public Builder declareGeometry(GeometrySpec spec, String where) {
      declare(Fact.TENSOR_PARALLEL, spec.parallelism().tensor(), where);
      declare(Fact.PIPELINE_PARALLEL, spec.parallelism().pipeline(), where);
      declare(Fact.DECODE_CONTEXT_PARALLEL, spec.parallelism().decodeContext(), where);
      declare(Fact.BLOCK_SIZE, spec.blockSize(), where);
      declare(Fact.LAYOUT, spec.layout(), where);
      declare(Fact.SHAPE, spec.model(), where);
      boolean hybrid =
          spec.model().groups().stream().anyMatch(CacheGroup.StateSpace.class::isInstance);
      if (!hybrid) {
        declare(Fact.HIDDEN_LAYERS, spec.model().layers(), where);
      }
      return this;
    }

    /** The profile, with what follows from all of that. */
    public EngineProfile build() {
      List<Disagreement> disagreements = new ArrayList<>();
      Map<Fact<?>, Known<?>> known = new LinkedHashMap<>(declared);
      probed.forEach((fact, said) -> {
        Known<?> other = known.put(fact, said);
        if (other != null && !other.value().equals(said.value())) {
          disagreements.add(new Disagreement(fact, other, said));
        }
      });
      Derivation.complete(known, disagreements);
      Map<Fact<?>, Known<?>> ordered = new LinkedHashMap<>();
      for (Fact<?> fact : Fact.all()) {
        Known<?> value = known.get(fact);
        if (value != null) {
          ordered.put(fact, value);
        }
      }
      return new EngineProfile(
          name, Collections.unmodifiableMap(ordered), List.copyOf(disagreements));
    }
  }
}
