package dev.millrace.config;

import static dev.millrace.config.Complaints.quote;

import java.util.Optional;

/**
 * Where requests go, and by which name the engines there are asked: what a route says of its own
 * pools, and each of its branches of others.
 */
final class PoolPairReader {
  private final StageReader stages;

  PoolPairReader(PoolsReader pools) {
    this.stages = new StageReader(pools);
  }

  /**
   * What was said.
   *
   * @param servedModelName empty if nothing
   * @param prefill empty where one worker does everything
   */
  record PoolPair(Optional<String> servedModelName, Optional<Stage> prefill, Stage decode) {}

  /**
   * The keys of a route or a branch that are about it; empty after a complaint.
   *
   * @param otherwise for which models engines are asked where no name is given
   */
  Optional<PoolPair> read(Section part, Optional<ModelPattern> otherwise) {
    Optional<Field> served = part.find("served-model-name");
    Optional<String> name = served.flatMap(PoolPairReader::servedModelName);
    Optional<ModelPattern> asked = served.isPresent() ? name.map(ModelPattern::new) : otherwise;
    Optional<Field> first = part.find(Role.PREFILL.keyword());
    Optional<Stage> prefill = first.flatMap(field -> stages.prefill(field, asked));
    Optional<Stage> decode =
        part.require(Role.DECODE.keyword(), "{pool: NAME}")
            .flatMap(field -> stages.decode(field, asked, first.isPresent(), prefill));
    return name.isPresent() == served.isPresent() && prefill.isPresent() == first.isPresent()
        ? decode.map(stage -> new PoolPair(name, prefill, stage))
        : Optional.empty();
  }

  /** One name, which a pattern is not. */
  private static Optional<String> servedModelName(Field field) {
    return field
        .text()
        .flatMap(text ->
            text.length() <= ModelPattern.LONGEST && new ModelPattern(text).isExact()
                ? Optional.of(text)
                : field.refuse(
                    "%s is not one name; engines are asked for one, such as the model of the pools"
                        .formatted(quote(text))));
  }
}
