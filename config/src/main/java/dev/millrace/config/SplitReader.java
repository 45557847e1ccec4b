package dev.millrace.config;

import static dev.millrace.config.Complaints.quote;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Which shares of a route's requests go to other pools than its own. */
final class SplitReader {
  private final PoolPairReader pairs;

  SplitReader(PoolPairReader pairs) {
    this.pairs = pairs;
  }

  /**
   * A route's split; empty after a complaint.
   *
   * @param asked for which models engines are asked, by the route
   */
  Optional<Split> read(Field self, Optional<ModelPattern> asked) {
    Optional<Section> section = self.section();
    if (section.isEmpty()) {
      return Optional.empty();
    }
    Section split = section.get();
    Optional<Integer> own = weight(split, "the share of the route's own pools, such as 95");
    Optional<Field> sessionField = split.find("session");
    Optional<SessionKey> session = sessionField.flatMap(StageReader::sessionKey);
    Map<String, Field> named = new HashMap<>();
    List<Field> items =
        split
            .require("branches", "a list of {name, weight, prefill, decode}")
            .flatMap(Field::items)
            .orElse(List.of());
    List<Branch> branches = new ArrayList<>();
    items.forEach(item -> branch(item, asked, named).ifPresent(branches::add));
    split.refuseOtherKeys();
    boolean complete =
        own.isPresent()
            && session.isPresent() == sessionField.isPresent()
            && !items.isEmpty()
            && branches.size() == items.size();
    if (!complete) {
      return Optional.empty();
    }
    return own.get() + branches.stream().mapToLong(Branch::weight).sum() > 0
        ? Optional.of(new Split(own.get(), session, branches))
        : self.refuse("has weights that are all 0; give one of them a share");
  }

  private Optional<Branch> branch(
      Field self, Optional<ModelPattern> asked, Map<String, Field> named) {
    Optional<Section> section = self.section();
    if (section.isEmpty()) {
      return Optional.empty();
    }
    Section branch = section.get();
    Optional<String> name =
        branch
            .require("name", "what records and metrics call it")
            .flatMap(field -> field.text().flatMap(text -> unique(field, text, named)));
    Optional<Integer> weight = weight(branch, "how much of all weights together its share is");
    Optional<PoolPairReader.PoolPair> pair = pairs.read(branch, asked);
    branch.refuseOtherKeys();
    return name.isPresent() && weight.isPresent()
        ? pair.map(read ->
            new Branch(
                name.get(), weight.get(), read.servedModelName(), read.prefill(), read.decode()))
        : Optional.empty();
  }

  private static Optional<Integer> weight(Section section, String meaning) {
    return section.require("weight", meaning).flatMap(value -> value.integer(0, Split.MOST_WEIGHT));
  }

  private static Optional<String> unique(Field field, String name, Map<String, Field> named) {
    if (name.equals(Split.OWN)) {
      return field.refuse(
          "%s is what the route's own pools are called; choose another name"
              .formatted(quote(name)));
    }
    Field first = named.putIfAbsent(name, field);
    return first == null
        ? Optional.of(name)
        : field.refuse(
            "the branch on line %d is called %s, too; choose another name"
                .formatted(Place.of(first.node()).line(), quote(name)));
  }
}
