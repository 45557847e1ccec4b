package dev.millrace.layout;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/** Whether two engines keep the same thing in their caches, wherever they keep it. */
final class ShapeAgreement {
  private final List<String> complaints = new ArrayList<>();

  private ShapeAgreement() {}

  /**
   * @throws IncompatibleGeometry with every value that differs, or that is not planned yet
   */
  static void require(Geometry source, Geometry target) {
    ShapeAgreement check = new ShapeAgreement();
    check.differ(source.model(), target.model());
    check.notPlanned("source", source);
    check.notPlanned("target", target);
    if (!check.complaints.isEmpty()) {
      throw new IncompatibleGeometry(
          "no transfer can be planned: " + String.join("; ", check.complaints));
    }
  }

  private void differ(ModelShape source, ModelShape target) {
    compare("KV heads", source.kvHeads(), target.kvHeads());
    compare("head size", source.headSize(), target.headSize());
    compare("K/V parts", parts(source), parts(target));
    compare("element type", source.element().shortName(), target.element().shortName());
    compare("number of KV-cache groups", source.groups().size(), target.groups().size());
    if (source.groups().size() == target.groups().size()) {
      for (int i = 0; i < source.groups().size(); i++) {
        differ(i, source.groups().get(i), target.groups().get(i));
      }
    }
  }

  private void differ(int group, CacheGroup source, CacheGroup target) {
    compare("kind of KV-cache group " + group, kind(source), kind(target));
    if (source.layerCount() != target.layerCount()) {
      compare("layers of KV-cache group " + group, source.layerCount(), target.layerCount());
    } else {
      compare("layer numbers of KV-cache group " + group, source.layers(), target.layers());
    }
    if (source instanceof CacheGroup.StateSpace(List<Integer> _, StateShape from)
        && target instanceof CacheGroup.StateSpace(List<Integer> _, StateShape to)) {
      compare("state of KV-cache group " + group, words(from), words(to));
    }
  }

  private static String words(StateShape state) {
    List<String> parts = new ArrayList<>();
    for (StateShape.Part part : state.parts()) {
      parts.add(
          "%s %d x %d %s"
              .formatted(
                  part.name(),
                  part.channels(),
                  part.elementsPerChannel(),
                  part.element().shortName()));
    }
    return String.join(" + ", parts);
  }

  private void compare(String what, Object source, Object target) {
    if (!Objects.equals(source, target)) {
      complaints.add("%s: source %s, target %s".formatted(what, source, target));
    }
  }

  private void notPlanned(String side, Geometry geometry) {
    int decodeContext = geometry.parallelism().decodeContext();
    if (decodeContext > 1) {
      complaints.add(
          "the %s uses decode context parallelism (size %d), which cannot be planned yet"
              .formatted(side, decodeContext));
    }
  }

  private static String parts(ModelShape model) {
    return model.isMla() ? "1 (joint latent)" : "2 (K and V)";
  }

  private static String kind(CacheGroup group) {
    return switch (group) {
      case CacheGroup.Full full -> "full attention";
      case CacheGroup.SlidingWindow window ->
          "sliding window of " + window.windowTokens() + " tokens";
      case CacheGroup.StateSpace state -> "state space";
    };
  }
}
