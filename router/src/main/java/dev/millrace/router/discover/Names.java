package dev.millrace.router.discover;

import dev.millrace.config.HostPort;
import dev.millrace.config.RoutingTable;
import dev.millrace.config.WorkerAddress;
import dev.millrace.config.WorkersDns;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.dns.DnsException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What a table wants to know of name servers, asked again and again. An answer that names nobody
 * changes nothing, be it that the name is unknown, that nobody answers, or that there are no
 * addresses: a name server in trouble must not take workers away that serve. Belongs to the
 * operators' event loop.
 */
final class Names {
  private static final Logger LOG = LoggerFactory.getLogger(Names.class);

  private final Vertx vertx;
  private final Runnable changed;
  private final Map<WorkersDns, Asked> all = new LinkedHashMap<>();

  /** One question, with what came of it. */
  static final class Asked {
    final WorkersDns question;
    final Lookup lookup;
    List<HostPort> found = List.of();
    String trouble = "";
    long answered;
    long empty;
    long failed;
    boolean followed;
    boolean ended;

    Asked(WorkersDns question, Lookup lookup) {
      this.question = question;
      this.lookup = lookup;
    }
  }

  /**
   * Asks nothing yet.
   *
   * @param changed hears of answers that are not as those before
   */
  Names(Vertx vertx, Runnable changed) {
    this.vertx = vertx;
    this.changed = changed;
  }

  /** Asks all that a table wants to know; completes when each is answered, or will not be. */
  Future<Void> ask(RoutingTable table) {
    return Future.join(questions(table).stream().map(this::of).map(this::ask).toList()).mapEmpty();
  }

  /** Asks what a table wants to know from time to time, and nothing else any more. */
  void follow(RoutingTable table) {
    keep(questions(table));
  }

  /** Asks nothing any more. */
  void end() {
    keep(Set.of());
  }

  private void keep(Set<WorkersDns> wanted) {
    for (Asked one : List.copyOf(all.values())) {
      if (!wanted.contains(one.question)) {
        all.remove(one.question);
        one.ended = true;
        one.lookup.end();
      }
    }
    for (WorkersDns question : wanted) {
      Asked one = of(question);
      if (!one.followed) {
        one.followed = true;
        askLater(one);
      }
    }
  }

  /** The workers that a question has brought. */
  List<WorkerAddress> found(WorkersDns question) {
    Asked one = all.get(question);
    return one == null ? List.of() : one.found.stream().map(question::worker).toList();
  }

  /** All questions. */
  List<Asked> all() {
    return new ArrayList<>(all.values());
  }

  private static Set<WorkersDns> questions(RoutingTable table) {
    Set<WorkersDns> questions = new LinkedHashSet<>();
    table.pools().values().forEach(pool -> pool.workersDns().ifPresent(questions::add));
    return questions;
  }

  private Asked of(WorkersDns question) {
    return all.computeIfAbsent(question, first -> new Asked(question, new Lookup(vertx, question)));
  }

  private void askLater(Asked one) {
    vertx.setTimer(
        one.question.every().toMillis(),
        timer -> {
          if (!one.ended) {
            ask(one).onComplete(answered -> askLater(one));
          }
        });
  }

  /** Never fails. */
  private Future<Void> ask(Asked one) {
    return one.lookup
        .ask()
        .transform(answer -> {
          if (one.ended) {
            return Future.succeededFuture();
          }
          if (answer.failed()) {
            one.failed++;
            unanswered(one, kind(answer.cause()), String.valueOf(answer.cause().getMessage()));
          } else if (answer.result().isEmpty()) {
            one.empty++;
            unanswered(one, "empty", "it has no addresses");
          } else {
            one.answered++;
            answered(one, answer.result());
          }
          return Future.succeededFuture();
        });
  }

  /** What stays the same as long as the trouble does; messages of timeouts have numbers in them. */
  private static String kind(Throwable failure) {
    return failure instanceof DnsException known
        ? String.valueOf(known.code())
        : failure.getClass().getSimpleName();
  }

  private void answered(Asked one, List<HostPort> now) {
    if (!one.trouble.isEmpty()) {
      LOG.info("{} is answered again", one.question);
      one.trouble = "";
    }
    if (!now.equals(one.found)) {
      LOG.info("{} has changed from {} to {}", one.question, one.found, now);
      one.found = now;
      changed.run();
    }
  }

  private static void unanswered(Asked one, String kind, String why) {
    if (!one.trouble.equals(kind)) {
      LOG.warn(
          "{} brings no worker: {}; {}",
          one.question,
          why,
          one.found.isEmpty() ? "there is none of it yet" : one.found + " stay");
      one.trouble = kind;
    }
  }
}
