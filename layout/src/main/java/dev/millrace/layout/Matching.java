package dev.millrace.layout;

import java.util.ArrayList;
import java.util.List;

/**
 * Which parts of a source rank's regions meet which parts of a destination rank's regions: boxes
 * are intersected pair by pair along LAYER, KV, HEAD or CHANNEL, and DIM. No token is looked at
 * here.
 */
final class Matching {
  private final int group;
  private final List<Box> source;
  private final int[] families;

  /**
   * @param source regions of one source rank in this group
   */
  Matching(int group, List<Box> source) {
    this.group = group;
    this.source = source;
    families = new int[source.size()];
    for (int i = 1; i < families.length; i++) {
      boolean same = source.get(i).region().sharesBlocksWith(source.get(i - 1).region());
      families[i] = families[i - 1] + (same ? 0 : 1);
    }
  }

  /**
   * The pairs, bundled by the destination blocks that they write.
   *
   * @param target regions of the destination rank in this group
   * @param serving per head or channel, the tensor rank that serves it
   * @param tensor the source's tensor rank
   */
  List<Bundle> bundles(List<Box> target, int[] serving, int tensor) {
    List<Bundle> bundles = new ArrayList<>();
    for (int first = 0; first < target.size(); ) {
      int end = first + 1;
      while (end < target.size()
          && target.get(first).region().sharesBlocksWith(target.get(end).region())) {
        end++;
      }
      List<RegionPair> pairs = new ArrayList<>();
      for (Box box : target.subList(first, end)) {
        addPairs(pairs, box, serving, tensor);
      }
      if (!pairs.isEmpty()) {
        bundles.add(new Bundle(group, pairs));
      }
      first = end;
    }
    return bundles;
  }

  private void addPairs(List<RegionPair> pairs, Box target, int[] serving, int tensor) {
    for (int i = 0; i < source.size(); i++) {
      Box from = source.get(i);
      if (!meet(from.layer(), target.layer())
          || !meet(from.kv(), target.kv())
          || !meet(from.dim(), target.dim())) {
        continue;
      }
      int end = Math.min(from.shard().end(), target.shard().end());
      int head = Math.max(from.shard().first(), target.shard().first());
      while (head < end) {
        int next = head + 1;
        if (serving[head] == tensor) {
          while (next < end && serving[next] == tensor) {
            next++;
          }
          pairs.add(new RegionPair(from, target, head, next, families[i]));
        }
        head = next;
      }
    }
  }

  private static boolean meet(Axis a, Axis b) {
    return a.first() < b.end() && b.first() < a.end();
  }

  /**
   * Chooses the tensor rank that serves each head (or channel), out of those of one pipeline stage
   * that hold it: the preferred one, or else the next after it, starting again at 0 behind the
   * last. With {@code r * P / D} preferred (r the destination's rank, P and D the tensor-parallel
   * sizes) this is vLLM's choice for split, replicated and latent heads alike (v0.28, {@code
   * tp_mapping.compute_tp_mapping}), and spreads the readers of a replicated head over its holders.
   *
   * @param stage per tensor rank, its regions in a group
   * @return per head, the tensor rank, or -1 if none holds it
   */
  static int[] serving(List<List<Box>> stage, int heads, int preferred) {
    boolean[][] holds = new boolean[stage.size()][heads];
    for (int tensor = 0; tensor < stage.size(); tensor++) {
      for (Box box : stage.get(tensor)) {
        for (int head = box.shard().first(); head < box.shard().end(); head++) {
          holds[tensor][head] = true;
        }
      }
    }
    int[] serving = new int[heads];
    for (int head = 0; head < heads; head++) {
      serving[head] = -1;
      for (int i = 0; i < stage.size() && serving[head] < 0; i++) {
        int tensor = (preferred + i) % stage.size();
        if (holds[tensor][head]) {
          serving[head] = tensor;
        }
      }
    }
    return serving;
  }
}
