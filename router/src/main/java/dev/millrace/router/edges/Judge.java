package dev.millrace.router.edges;

import dev.millrace.config.Pairing;
import dev.millrace.layout.compatibility.Judgement;
import dev.millrace.layout.compatibility.Way;
import dev.millrace.router.pools.Worker;
import dev.millrace.router.probe.Sighting;
import java.util.List;

/** Decides whether two workers fit. */
@FunctionalInterface
public interface Judge {
  /** A worker and what was learnt of it. */
  record Seen(Worker worker, Sighting sighting) {}

  /** What it decides. */
  sealed interface Ruling {
    /**
     * They fit.
     *
     * @param way how blocks go
     * @param notes what an operator should know
     * @param canary whether a known prompt has to be answered right first
     */
    record Fits(Way way, List<String> notes, boolean canary) implements Ruling {
      public Fits {
        notes = List.copyOf(notes);
      }
    }

    /**
     * They do not, or it cannot be told.
     *
     * @param tried every way that is allowed, with its reasons
     */
    record Refuses(List<Judgement> tried) implements Ruling {
      public Refuses {
        tried = List.copyOf(tried);
      }
    }
  }

  /** Judges a pair by what a route allows. */
  Ruling judge(Seen prefill, Seen decode, Pairing pairing);
}
