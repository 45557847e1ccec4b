package dev.millrace.router.choose;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import dev.millrace.router.pools.Worker;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The worker to which the longest beginning of the prompt went before, and whose cache so holds it.
 *
 * <p>With {@code m} the worker to which the longest known one of the prompt's {@link Prefixes} was
 * sent last: {@code pick = m if room(m), else} {@link LeastActive}'s, with the {@link Room} of an
 * exchange whose worth is the bytes of that beginning on a prefill worker, which another would have
 * to compute, and one exchange elsewhere. So a long match is waited for longer than a short one,
 * and a beginning that everybody shares spreads over as many workers as its load needs: where the
 * others went, it is known as well.
 *
 * <p>What is known is bounded: an index of {@value #MOST_ENTRIES} pieces, of 128 MiB of prompts,
 * takes about 32 MiB. It holds hashes, never bytes. An engine forgets by itself and says nothing,
 * so what stands in the index is a guess; the index forgets what is neither new nor asked for often
 * (W-TinyLFU), as engines more or less do.
 */
final class PrefixAffinity implements WorkerPolicy {
  /** Of one stage of one route. */
  static final int MOST_ENTRIES = 1 << 18;

  private final int balancePercent;
  private final Cache<Long, Worker> sentTo;
  private final WorkerPolicy withoutMatch = new LeastActive();

  PrefixAffinity(int balancePercent) {
    this(balancePercent, MOST_ENTRIES);
  }

  PrefixAffinity(int balancePercent, int mostEntries) {
    this.balancePercent = balancePercent;
    // What has to go is thrown out by the event loop that puts something in.
    this.sentTo = Caffeine.newBuilder().maximumSize(mostEntries).executor(Runnable::run).build();
  }

  private record Match(Worker holder, int bytes) {}

  @Override
  public Worker pick(List<Worker> workers, Traits traits) {
    Match match = match(workers, traits);
    return match != null && hasRoom(match.holder, match.bytes, workers, traits)
        ? match.holder
        : withoutMatch.pick(workers, traits);
  }

  @Override
  public long knownBytes(List<Worker> workers, Traits traits) {
    Match match = match(workers, traits);
    return match != null && hasRoom(match.holder, match.bytes, workers, traits) ? match.bytes : 0;
  }

  private @Nullable Match match(List<Worker> workers, Traits traits) {
    Prefixes prefixes = traits.prefixes();
    Worker holder = null;
    int bytes = 0;
    // A beginning is only looked for if all shorter ones are known: a new prompt costs one look.
    for (int i = 0; i < prefixes.count(); i++) {
      Worker worker = sentTo.getIfPresent(prefixes.hash(i));
      if (worker == null) {
        break;
      }
      if (worker.equals(holder) || workers.contains(worker)) {
        holder = worker;
        bytes = prefixes.bytes(i);
      }
    }
    return holder == null ? null : new Match(holder, bytes);
  }

  private boolean hasRoom(Worker holder, int bytes, List<Worker> workers, Traits traits) {
    return Room.among(workers, balancePercent, holder.loadOf(traits.promptBytes()))
        .on(holder, holder.loadOf(bytes));
  }

  @Override
  public void sent(Worker worker, Traits traits) {
    Prefixes prefixes = traits.prefixes();
    for (int i = 0; i < prefixes.count(); i++) {
      long hash = prefixes.hash(i);
      if (!Objects.equals(sentTo.getIfPresent(hash), worker)) {
        sentTo.put(hash, worker);
      }
    }
  }

  /** How many beginnings it knows. */
  long known() {
    sentTo.cleanUp();
    return sentTo.estimatedSize();
  }
}
