package dev.millrace.router.edges;

import dev.millrace.config.Pairing;
import dev.millrace.router.pools.Worker;
import dev.millrace.router.probe.Sighting;
import java.util.List;

/** Decides whether two workers fit. */
@FunctionalInterface
public interface Judge {
  /** A worker and what was learnt of it. */
  record Seen(Worker worker, Sighting sighting) {}

  /** What it decides. */
  sealed interface Judgement {
    /**
     * They fit.
     *
     * @param way how blocks go
     * @param notes what an operator should know
     * @param canary whether a known prompt has to be answered right first
     */
    record Fits(Way way, List<String> notes, boolean canary) implements Judgement {}

    /**
     * They do not, or it cannot be told.
     *
     * @param reasons at least one, each with its remedy
     */
    record Refuses(List<String> reasons) implements Judgement {}
  }

  /** Judges a pair by what a route allows. */
  Judgement judge(Seen prefill, Seen decode, Pairing pairing);
}
