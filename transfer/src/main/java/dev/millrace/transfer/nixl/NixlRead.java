package dev.millrace.transfer.nixl;

import dev.millrace.layout.RunCursor;
import dev.millrace.layout.Runs;
import dev.millrace.transfer.ReadOutcome;
import dev.millrace.transfer.ReadOutcome.Cause;
import dev.millrace.transfer.ReadOutcome.Failed;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Iterator;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * One read: checks its runs and keeps a few requests in flight until the last byte is here. Belongs
 * to one transfer thread, which calls {@link #step} until {@link #isOver}.
 *
 * <p>A read ends for its caller when its outcome is known, and for NIXL when its last request has
 * ended; these are not the same. NIXL cannot cancel: an abandoned request stays in flight and may
 * write its destination at any time, even after its peer was invalidated and its status reads
 * "gone". So nothing is invalidated or let go before NIXL itself has ended the request. Until then
 * it is in quarantine.
 */
final class NixlRead {
  /**
   * How long a failed read waits for its requests to end before the caller hears of it. With a
   * living peer, that is all of them.
   */
  private static final Duration SETTLING = Duration.ofMillis(50);

  /**
   * What a read needs of its transport.
   *
   * @param moving the batches of all requests that NIXL has
   * @param ask has the other end asked for memory that its description lacked
   */
  record Surroundings(
      AgentHandle agent,
      Link link,
      Supplier<RegionTable> local,
      NixlLimits limits,
      Set<Batch> moving,
      Consumer<Link> ask,
      Counters counters) {}

  /** One request in flight. */
  private record InFlight(RequestHandle request, Batch batch) {}

  private final Surroundings around;
  private final Runs runs;
  private final long startNanos;
  private final long deadlineNanos;
  private final Consumer<ReadOutcome> whenOver;
  private final Deque<InFlight> inFlight = new ArrayDeque<>();

  private @Nullable RunCursor cursor;
  private @Nullable Batch prepared;
  private boolean exhausted;
  private boolean inRun;
  private boolean asked;
  private boolean waitsForAnswer;
  private int refreshesBefore;
  private long source;
  private long target;
  private long left;
  private @Nullable Claims from;
  private @Nullable Claims to;
  private long totalRuns;
  private long arrivedBytes;
  private @Nullable Failed failure;
  private long settledNanos;
  private boolean told;
  private volatile boolean begun;
  private volatile @Nullable Failed stop;

  NixlRead(
      Surroundings around,
      Runs runs,
      long startNanos,
      Duration deadline,
      Consumer<ReadOutcome> whenOver) {
    this.around = around;
    this.runs = runs;
    this.startNanos = startNanos;
    this.deadlineNanos = startNanos + deadline.toNanos();
    this.whenOver = whenOver;
  }

  /** Ends the read soon. From any thread. */
  void stop(Cause cause, String reason) {
    stop = new Failed(cause, reason, 0);
  }

  /** The caller has been told, and NIXL is done with every request. */
  boolean isOver() {
    return told && inFlight.isEmpty();
  }

  /** Only abandoned requests are left. */
  boolean isQuarantined() {
    return told;
  }

  /**
   * Does what can be done now.
   *
   * @return whether anything happened
   */
  @SuppressWarnings("CatchThrowable")
  boolean step(long now) {
    begun = true;
    boolean happened = poll();
    if (failure == null) {
      try {
        happened |= goOn(now);
      } catch (NixlFailure e) {
        around.link().breakWith(e.getMessage() + "");
        fail(Cause.PEER_LOST, e.getMessage() + "", now);
      } catch (Throwable e) {
        // The runs are the application's code: an error of it must not end a thread that others'
        // requests depend on.
        fail(Cause.CORRUPT, "the runs could not be read: " + e, now);
      }
    }
    if (failure != null && !told && (inFlight.isEmpty() || now - settledNanos >= 0)) {
      tell(failure);
      happened = true;
    }
    return happened;
  }

  private boolean goOn(long now) {
    Failed wanted = stop;
    String broken = around.link().broken();
    if (wanted != null) {
      fail(wanted.cause(), wanted.reason(), now);
    } else if (broken != null) {
      fail(Cause.PEER_LOST, "the link to %s broke: %s".formatted(name(), broken), now);
    } else if (now - deadlineNanos >= 0) {
      fail(Cause.DEADLINE, "%s did not send all bytes in time".formatted(name()), now);
    } else if (waitsForAnswer && around.link().refreshes() == refreshesBefore) {
      return false;
    } else if (!exhausted && inFlight.size() < around.limits().requestsAtOnce()) {
      return post(now);
    } else if (exhausted && inFlight.isEmpty()) {
      told = true;
      whenOver.accept(
          new ReadOutcome.Done(arrivedBytes, totalRuns, Duration.ofNanos(now - startNanos)));
    } else {
      return false;
    }
    return true;
  }

  /** What a caller is told whose read is not over long after its deadline. From any thread. */
  String whyItIsLate() {
    return begun
        ? "%s did not send all bytes in time, and a call of NIXL or of the runs holds the read up: it may still write"
            .formatted(name())
        : "other reads kept this one from %s from beginning in time".formatted(name());
  }

  private static String outside(long bytes, long address, String whose) {
    return "%s bytes at %#x are not inside memory that %s has registered"
        .formatted(Long.toUnsignedString(bytes), address, whose);
  }

  private boolean post(long now) {
    waitsForAnswer = false;
    Batch batch = prepared;
    if (batch == null) {
      batch = new Batch(around.limits().descriptorsPerRequest());
      String outside;
      try {
        outside = fill(batch);
      } catch (Throwable e) {
        batch.release();
        throw e;
      }
      if (outside != null || batch.size() == 0) {
        batch.release();
        if (outside != null) {
          fail(Cause.OUT_OF_BOUNDS, outside, now);
        }
        return true;
      }
    }
    // Walking the runs may have taken any time: the caller's code gives them.
    if (around.link().broken() != null || System.nanoTime() - deadlineNanos >= 0) {
      batch.release();
      prepared = null;
      return true;
    }
    if (!around.link().requestBegins()) {
      prepared = batch;
      return false;
    }
    prepared = null;
    RequestHandle request;
    try {
      request = RequestHandle.create(around.agent(), batch, around.link());
    } catch (RuntimeException e) {
      batch.release();
      around.link().requestEnds();
      throw e;
    }
    around.moving().add(batch);
    InFlight posted = new InFlight(request, batch);
    inFlight.add(posted);
    if (request.post() != NixlFailure.IN_PROGRESS) {
      inFlight.remove(posted);
      ended(posted);
    }
    return true;
  }

  /**
   * Takes runs up to the size of a request, and holds each against both tables. What the peer's
   * table lacks may have been registered since: the peer is asked once.
   *
   * @return what is out of bounds, or null
   */
  private @Nullable String fill(Batch batch) {
    long most = around.limits().bytesPerRequest();
    while (!batch.isFull() && batch.bytes() < most) {
      if (!inRun && !nextRun()) {
        exhausted = true;
        return null;
      }
      if (from == null || to == null) {
        from = around.link().table().find(source, left);
        to = around.local().get().find(target, left);
      }
      Claims sourceRegion = from;
      Claims targetRegion = to;
      if (targetRegion == null) {
        return outside(left, target, "this side");
      }
      if (sourceRegion == null && mayAsk()) {
        return null;
      }
      if (sourceRegion == null) {
        return outside(left, source, name());
      }
      long length = Math.min(left, most - batch.bytes());
      if (!batch.add(sourceRegion, source, targetRegion, target, length)) {
        return "memory for %d bytes from %#x to %#x was taken back during the read"
            .formatted(left, source, target);
      }
      source += length;
      target += length;
      left -= length;
      if (left == 0) {
        inRun = false;
        totalRuns++;
      }
    }
    return null;
  }

  private boolean nextRun() {
    RunCursor runsLeft = cursor;
    if (runsLeft == null) {
      runsLeft = runs.cursor();
      cursor = runsLeft;
    }
    if (!runsLeft.next()) {
      return false;
    }
    source = runsLeft.sourceAddress();
    target = runsLeft.targetAddress();
    left = runsLeft.bytes();
    from = null;
    to = null;
    inRun = true;
    asked = false;
    return true;
  }

  private boolean mayAsk() {
    if (asked || left < 1 || around.link().language() == Link.Language.ENGINE) {
      return false;
    }
    asked = true;
    waitsForAnswer = true;
    refreshesBefore = around.link().refreshes();
    around.ask().accept(around.link());
    return true;
  }

  private boolean poll() {
    boolean happened = false;
    for (Iterator<InFlight> each = inFlight.iterator(); each.hasNext(); ) {
      InFlight candidate = each.next();
      if (candidate.request().status() != NixlFailure.IN_PROGRESS) {
        each.remove();
        ended(candidate);
        happened = true;
      }
    }
    return happened;
  }

  private void ended(InFlight ended) {
    int status = ended.request().status();
    if (status == NixlFailure.SUCCESS) {
      around.counters().succeeded(ended.request().telemetry());
      arrivedBytes += ended.batch().bytes();
    } else {
      around.counters().failed();
      String reason =
          "reading from %s failed with %d (%s)"
              .formatted(name(), status, NixlFailure.meaning(status));
      around.link().breakWith(reason);
      if (failure == null) {
        fail(Cause.PEER_LOST, reason, System.nanoTime());
      }
    }
    if (told) {
      around.counters().quarantineEnds(ended.batch().bytes());
    }
    ended.request().release();
    letGo(ended.batch());
  }

  private void fail(Cause cause, String reason, long now) {
    if (prepared != null) {
      prepared.release();
      prepared = null;
    }
    failure = new Failed(cause, reason, arrivedBytes);
    settledNanos = now + SETTLING.toNanos();
  }

  private void tell(Failed failed) {
    told = true;
    long quarantined = 0;
    for (InFlight abandoned : inFlight) {
      quarantined += abandoned.batch().bytes();
      around.counters().quarantineBegins(abandoned.batch().bytes());
    }
    String reason =
        inFlight.isEmpty()
            ? failed.reason()
            : "%s; %d requests are still with NIXL, which may write their %d bytes until it has ended them"
                .formatted(failed.reason(), inFlight.size(), quarantined);
    whenOver.accept(new Failed(failed.cause(), reason, arrivedBytes));
  }

  /**
   * Gives all requests back at once: the agent is about to be destroyed, which is what ends them.
   * Their memory stays claimed until {@link #letGo}.
   */
  void abandonAll(String reason) {
    if (!told) {
      fail(Cause.CLOSED, reason, System.nanoTime());
      tell(new Failed(Cause.CLOSED, reason, arrivedBytes));
    }
    inFlight.forEach(each -> each.request().abandon());
  }

  /** The agent is gone, and nothing writes any more. */
  void letGo() {
    for (InFlight each : inFlight) {
      around.counters().quarantineEnds(each.batch().bytes());
      letGo(each.batch());
    }
    inFlight.clear();
  }

  private void letGo(Batch batch) {
    around.moving().remove(batch);
    batch.release();
    around.link().requestEnds();
  }

  private String name() {
    return around.link().label();
  }
}
