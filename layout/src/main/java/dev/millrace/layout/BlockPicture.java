package dev.millrace.layout;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * Draws where the bytes of one source block go: for each source rank a box of the block's memory in
 * address order, with what stands in each slice and the destination bytes it is read to. For people
 * at a terminal; at most 80 columns.
 *
 * <p>Shown is the second block of a sequence (the first, if a rank has no more), since a block's
 * place inside a larger one shows only from the second on, and of the regions the first: the others
 * are like it.
 */
public final class BlockPicture {
  private static final int MOST_BOXES = 4;
  private static final int MOST_SLICES = 12;

  /** How the names of tensors end that are all of their layer. */
  private static final Set<String> WHOLE_LAYERS = Set.of("attn", "mixer");

  private final TransferPlanner planner;
  private final Rank targetRank;
  private final StringBuilder out = new StringBuilder();

  private BlockPicture(TransferPlanner planner, Rank targetRank) {
    this.planner = planner;
    this.targetRank = targetRank;
  }

  /**
   * The picture for one destination rank, as lines that end in {@code \n}.
   *
   * @param targetRank a rank of the planner's target
   */
  public static String draw(TransferPlanner planner, Rank targetRank) {
    BlockPicture picture = new BlockPicture(planner, targetRank);
    picture.draw();
    return picture.out.toString();
  }

  /** Bytes {@code [from, to)} of the source block, and the address that they go to. */
  private record Slice(long from, long to, long target) {}

  private void draw() {
    int block = fewestBlocks(planner.source()) > 1 ? 1 : 0;
    int from = block * planner.source().blockSize();
    int firstTarget = from / planner.target().blockSize();
    long reach =
        (firstTarget + (long) fewestBlocks(planner.target())) * planner.target().blockSize();
    int to = (int) Math.min(reach, from + (long) planner.source().blockSize());
    TokenSpan span = new TokenSpan(from, to);
    BlockTable targetTable = targetTable(firstTarget, span);
    TransferPlan plan =
        planner.planBlocks(
            targetRank,
            tables(BlockTable.startingAt(block, block)),
            tables(targetTable),
            span,
            Rounding.EXACT);
    line(
        "Block %d of a sequence (tokens %d-%d) into target rank %s"
            .formatted(block, span.from(), span.to() - 1, place(targetRank)));
    int boxes = Math.min(MOST_BOXES, plan.reads().size());
    for (SourceRead read : plan.reads().subList(0, boxes)) {
      line("");
      new Drawing(read, block, targetTable).draw();
    }
    if (boxes < plan.reads().size()) {
      line("");
      line("… and likewise from %d more source ranks".formatted(plan.reads().size() - boxes));
    }
  }

  /** States are not drawn: they move whole. */
  private List<BlockTable> tables(BlockTable table) {
    return planner.source().model().groups().stream()
        .map(group -> group instanceof CacheGroup.StateSpace ? BlockTable.of() : table)
        .toList();
  }

  /** Descending ids: blocks that stand apart, so that no run goes from one into the next. */
  private BlockTable targetTable(int first, TokenSpan span) {
    int blocks = Math.ceilDiv(span.to(), planner.target().blockSize()) - first;
    return BlockTable.startingAt(
        first, IntStream.range(0, blocks).map(i -> blocks - 1 - i).toArray());
  }

  private static int fewestBlocks(Geometry geometry) {
    return geometry.ranks().stream()
        .flatMap(rank -> rank.regions().stream())
        .flatMap(List::stream)
        .filter(region -> !region.isState())
        .mapToInt(Region::blocks)
        .min()
        .orElse(1);
  }

  private static String place(Rank rank) {
    return rank.pipeline() == 0
        ? "tp" + rank.tensor()
        : "pp" + rank.pipeline() + "/tp" + rank.tensor();
  }

  private void line(String text) {
    out.append(text).append('\n');
  }

  /** The box of one source rank. */
  private final class Drawing {
    private final SourceRead read;
    private final int block;
    private final BlockTable targetTable;
    private final RegionsInBlock source;
    private final List<Row> rows = new ArrayList<>();

    Drawing(SourceRead read, int block, BlockTable targetTable) {
      this.read = read;
      this.block = block;
      this.targetTable = targetTable;
      RunCursor first = read.firstGroup();
      first.next();
      source = RegionsInBlock.at(read.source(), first.sourceAddress());
    }

    void draw() {
      fillRows();
      int bytesWidth = rows.stream().mapToInt(row -> row.bytes().length()).max().orElse(0);
      int whatWidth = rows.stream().mapToInt(row -> row.what().length()).max().orElse(0);
      String rule = "+" + "-".repeat(bytesWidth + whatWidth + 4) + "+";
      line("source rank %s, %s".formatted(place(read.source()), source.name()));
      line(rule);
      for (Row row : rows) {
        String format = "| %-" + bytesWidth + "s  %-" + whatWidth + "s |%s";
        line(format.formatted(row.bytes(), row.what(), row.where()));
        line(rule);
      }
    }

    private void fillRows() {
      PriorityQueue<Slice> last =
          new PriorityQueue<>(Comparator.comparingLong(Slice::from).reversed());
      int slices = 0;
      long start = source.base() + block * source.blockBytes();
      for (RunCursor run = read.firstGroup(); run.next(); ) {
        long from = run.sourceAddress() - start;
        if (from >= 0 && from < source.blockBytes()) {
          slices++;
          last.add(new Slice(from, from + run.bytes(), run.targetAddress()));
          if (last.size() > MOST_SLICES) {
            last.remove();
          }
        }
      }
      List<Slice> shown = new ArrayList<>(last);
      shown.sort(Comparator.comparingLong(Slice::from));
      fillRows(shown, slices - shown.size());
    }

    private void fillRows(List<Slice> shown, int more) {
      long at = 0;
      for (Slice slice : shown) {
        gap(at, slice.from());
        String what = source.describe(slice.from(), slice.to(), block, planner.source().model());
        rows.add(new Row(range(slice.from(), slice.to()), what, " -> " + where(slice)));
        at = slice.to();
      }
      if (more > 0) {
        rows.add(new Row("…", more + " more slices", ""));
      } else {
        gap(at, source.blockBytes());
      }
    }

    private void gap(long from, long to) {
      if (from < to) {
        rows.add(new Row(range(from, to), "not read here", ""));
      }
    }

    private String where(Slice slice) {
      RegionsInBlock target = RegionsInBlock.at(targetRank, slice.target());
      long offset = slice.target() - target.base();
      long id = offset / target.blockBytes();
      long number = targetTable.firstBlock() + targetTable.length() - 1 - id;
      long from = offset % target.blockBytes();
      return "block %d%s: %s"
          .formatted(number, part(target.name()), range(from, from + slice.to() - slice.from()));
    }
  }

  private static String range(long from, long to) {
    return from + ".." + (to - 1);
  }

  /** The {@code .k} of a tensor that is not all of its layer, to tell it from its siblings. */
  private static String part(String tensor) {
    String last = tensor.substring(tensor.lastIndexOf('.') + 1);
    return WHOLE_LAYERS.contains(last) || last.equals(tensor) ? "" : " " + last;
  }

  /** A line of a box. */
  private record Row(String bytes, String what, String where) {}
}
