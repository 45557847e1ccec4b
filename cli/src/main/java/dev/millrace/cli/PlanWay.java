package dev.millrace.cli;

import dev.millrace.config.Transfer;
import dev.millrace.layout.GeometrySpec;
import dev.millrace.layout.Layout;
import dev.millrace.layout.Rounding;
import dev.millrace.layout.compatibility.Choice;
import dev.millrace.layout.compatibility.Compatibility;
import dev.millrace.layout.compatibility.ConnectorRelease;
import dev.millrace.layout.compatibility.EngineProfile;
import dev.millrace.layout.compatibility.Fact;
import dev.millrace.layout.compatibility.Judgement;
import dev.millrace.layout.compatibility.Verdict;
import dev.millrace.layout.compatibility.Way;
import java.util.List;
import java.util.Locale;

/**
 * Who would read a sequence's blocks from whom, by the way that a pair of geometries goes.
 *
 * <p>Geometries say how engines keep blocks, not what for: in all else the two are taken to be of
 * one kind.
 *
 * @param asked {@code transfer} of a route
 * @param choice the way that it takes, and why not others
 * @param bytesRead that leave the prefill engine
 * @param bytesServed that a decode engine reads from an agent's copy, whole blocks of its own
 */
record PlanWay(Transfer asked, Choice choice, long bytesRead, long bytesServed) {
  private static final String WHERE = "the command line";

  /** Decided for geometries between which there is a plan. */
  static PlanWay of(Transfer asked, GeometrySpec prefill, GeometrySpec decode, PlanReport report) {
    PlanReport served = PlanReport.of(decode, decode, report.tokens(), Rounding.WHOLE_BLOCKS);
    Choice choice =
        Compatibility.choose(profile("prefill", prefill), profile("decode", decode), ways(asked));
    return new PlanWay(asked, choice, report.bytesMoved(), served.bytesMoved());
  }

  private static List<Way> ways(Transfer asked) {
    return switch (asked) {
      case ENGINE -> List.of(Way.ENGINE);
      case BRIDGE -> List.of(Way.BRIDGE);
      case RELAY -> List.of(Way.RELAY);
      case AUTO -> List.of(Way.values());
    };
  }

  private static EngineProfile profile(String name, GeometrySpec spec) {
    String type = spec.model().element().vllmName();
    EngineProfile.Builder profile =
        EngineProfile.named(name)
            .declareGeometry(spec, WHERE)
            .declare(Fact.CONNECTOR_VERSION, ConnectorRelease.NEWEST, WHERE)
            .declare(Fact.VLLM_VERSION, newestVllm(), WHERE)
            .declare(Fact.MODEL, "the model", WHERE)
            .declare(Fact.DTYPE, type, WHERE)
            .declare(Fact.KERNEL_BLOCK_SIZE, spec.blockSize(), WHERE);
    if (spec.layout() != Layout.CPU_ATTENTION) {
      // CPU attention follows from its layout.
      profile.declare(
          Fact.ATTENTION_BACKEND, spec.model().isMla() ? "FLASHMLA" : "FLASH_ATTN", WHERE);
    }
    return profile.build();
  }

  private static String newestVllm() {
    return new ConnectorRelease(ConnectorRelease.NEWEST).vllmReleases().getLast();
  }

  boolean isNone() {
    return switch (choice) {
      case Choice.Use _ -> false;
      case Choice.None _ -> true;
    };
  }

  /** The way, why not others, and a table of who reads what. */
  String text() {
    StringBuilder text = new StringBuilder();
    switch (choice) {
      case Choice.Use(Judgement chosen, List<Judgement> before) -> {
        text.append("transfer ").append(word(asked)).append(": ").append(chosen.way());
        text.append('\n');
        before.forEach(judgement -> text.append(refusal(judgement)));
        text.append('\n').append(table(chosen.way()));
      }
      case Choice.None(List<Judgement> tried) -> {
        text.append("transfer ").append(word(asked)).append(": no way\n");
        tried.forEach(judgement -> text.append(refusal(judgement)));
      }
    }
    return text.toString();
  }

  private static String word(Transfer transfer) {
    return transfer.name().toLowerCase(Locale.ROOT);
  }

  private static String refusal(Judgement judgement) {
    String why =
        switch (judgement.verdict()) {
          case Verdict.Refused(var reasons) -> reasons.getFirst().toString();
          case Verdict.Unknown(var missing) -> "not known: " + missing.getFirst();
          case Verdict.Fits _, Verdict.FitsWith _ -> "it fits";
        };
    return "not by %s: %s\n".formatted(judgement.way(), why);
  }

  private String table(Way way) {
    Table table = new Table("who", "reads from", "as it is described by", "bytes", "copies");
    String read = Long.toString(bytesRead);
    switch (way) {
      case ENGINE -> table.row("decode", "prefill", "prefill", read, "0");
      case BRIDGE -> table.row("decode", "prefill", "agent", read, "0");
      case RELAY -> {
        table.row("agent", "prefill", "prefill", read, "1");
        table.row("decode", "agent", "agent", Long.toString(bytesServed), "0");
      }
    }
    return table.toString();
  }
}
