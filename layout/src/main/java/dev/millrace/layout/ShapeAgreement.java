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
      throw new IncompatibleGeometry(String.join("; ", check.complaints));
    }
  }

  private void differ(ModelShape source, ModelShape target) {
    compare("KV heads", source.kvHeads(), target.kvHeads());
    compare("head size", source.headSize(), target.headSize());
    compare("K/V parts", parts(source), parts(target));
    compare("element type", source.element().shortName(), target.element().shortName());
    compare("number of KV-cache groups", source.groups().size(), target.groups().size());
    for (int i = 0; i < Math.min(source.groups().size(), target.groups().size()); i++) {
      CacheGroup ours = source.groups().get(i);
      CacheGroup theirs = target.groups().get(i);
      compare("kind of KV-cache group " + i, kind(ours), kind(theirs));
      compare("layers of KV-cache group " + i, ours.layers(), theirs.layers());
    }
  }

  private void compare(String what, Object source, Object target) {
    if (!Objects.equals(source, target)) {
      complaints.add("%s differ: source %s, target %s".formatted(what, source, target));
    }
  }

  private void notPlanned(String side, Geometry geometry) {
    List<CacheGroup> groups = geometry.model().groups();
    for (int i = 0; i < groups.size(); i++) {
      if (groups.get(i) instanceof CacheGroup.StateSpace) {
        complaints.add(
            "KV-cache group %d of the %s is state-space (Mamba, gated delta nets), which cannot be planned yet"
                .formatted(i, side));
      }
    }
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
