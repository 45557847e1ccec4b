package dev.millrace.router.discover;

import dev.millrace.config.WorkerAddress;
import java.net.URI;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What operators have said by the admin port: workers that were added, and such as were removed
 * though others name them. It lasts until the next start, or until it says nothing new: a worker
 * that somebody else names is that one's from then on, and one that nobody names any more needs no
 * removal.
 */
final class Overlay {
  private final Map<Key, WorkerAddress> added = new LinkedHashMap<>();
  private final Set<Key> removed = new LinkedHashSet<>();
  private final Set<Key> leaving = new HashSet<>();

  /** A worker of a pool. */
  record Key(String pool, URI url) {}

  void add(Key worker, WorkerAddress address) {
    removed.remove(worker);
    added.put(worker, address);
  }

  /** A worker that was removed is one again, as those have it who name it. */
  boolean takeBack(Key worker) {
    return removed.remove(worker);
  }

  void remove(Key worker) {
    leaving.remove(worker);
    if (added.remove(worker) == null) {
      removed.add(worker);
    }
  }

  boolean isRemoved(Key worker) {
    return removed.contains(worker);
  }

  void leaves(Key worker) {
    leaving.add(worker);
  }

  boolean stays(Key worker) {
    return leaving.remove(worker);
  }

  boolean isLeaving(Key worker) {
    return leaving.contains(worker);
  }

  List<Key> removed() {
    return List.copyOf(removed);
  }

  List<WorkerAddress> addedTo(String pool) {
    return added.entrySet().stream()
        .filter(entry -> entry.getKey().pool().equals(pool))
        .map(Map.Entry::getValue)
        .toList();
  }

  /** Forgets what says nothing new beside those whom others name in pools that there are. */
  void settle(Set<String> pools, Set<Key> named) {
    added.keySet().removeIf(key -> named.contains(key) || !pools.contains(key.pool()));
    removed.removeIf(key -> !named.contains(key));
  }
}
