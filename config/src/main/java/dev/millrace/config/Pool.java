package dev.millrace.config;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * Interchangeable workers: one role, one model, one kind of engine.
 *
 * @param name how routes refer to it
 * @param role the stage its workers run
 * @param model the model they serve, by the name that clients use
 * @param engine what they run
 * @param declared what the operator says of all its engines
 * @param upstream what the router shows to them
 * @param health when one of them is taken out of use
 * @param kvPercent how much of the KV cache of one that decodes may be given away at a time, {@code
 *     1..1000}
 * @param workers no URL twice; those of the table, then those of other sources. None as long as no
 *     source has one: what a route needs of the pool is then refused
 * @param workersFile where more of them are listed
 * @param workersDns whose answer has more of them
 */
public record Pool(
    String name,
    Role role,
    String model,
    EngineKind engine,
    Declared declared,
    Upstream upstream,
    Health health,
    int kvPercent,
    List<WorkerAddress> workers,
    Optional<Path> workersFile,
    Optional<WorkersDns> workersDns) {
  /** A little is left for answers that become longer than was thought. */
  static final int KV_PERCENT = 95;

  static final int MOST_KV_PERCENT = 1000;

  public Pool {
    workers = List.copyOf(workers);
    if (kvPercent < 1 || kvPercent > MOST_KV_PERCENT) {
      throw new IllegalArgumentException(
          "pool \"%s\": kvPercent=%d (1 to %d)".formatted(name, kvPercent, MOST_KV_PERCENT));
    }
    if (name.isBlank() || model.isBlank()) {
      throw new IllegalArgumentException(
          "pool \"%s\" of model \"%s\" needs a name and a model".formatted(name, model));
    }
    if (workers.stream().map(WorkerAddress::url).distinct().count() < workers.size()) {
      throw new IllegalArgumentException("pool \"%s\" has a worker URL twice".formatted(name));
    }
  }

  /** A pool of whose engines nothing is declared, with everything else at its default. */
  public static Pool of(
      String name, Role role, String model, EngineKind engine, List<WorkerAddress> workers) {
    return new Pool(
        name,
        role,
        model,
        engine,
        Declared.nothing(),
        Upstream.defaults(),
        Health.defaults(),
        KV_PERCENT,
        workers,
        Optional.empty(),
        Optional.empty());
  }

  /** The same whose workers are shown something else. */
  public Pool withUpstream(Upstream newUpstream) {
    return with(newUpstream, health, kvPercent, workers);
  }

  /** The same with another rule for workers that fail. */
  public Pool withHealth(Health newHealth) {
    return with(upstream, newHealth, kvPercent, workers);
  }

  /** The same of whose decode workers' caches another share may be given away. */
  public Pool withKvPercent(int newKvPercent) {
    return with(upstream, health, newKvPercent, workers);
  }

  /** The same with these workers. */
  public Pool withWorkers(List<WorkerAddress> newWorkers) {
    return with(upstream, health, kvPercent, newWorkers);
  }

  private Pool with(
      Upstream newUpstream, Health newHealth, int newKvPercent, List<WorkerAddress> newWorkers) {
    return new Pool(
        name,
        role,
        model,
        engine,
        declared,
        newUpstream,
        newHealth,
        newKvPercent,
        newWorkers,
        workersFile,
        workersDns);
  }

  /** What is declared of a worker, by itself or with its pool. */
  public Declared declaredOf(WorkerAddress worker) {
    return worker.declared().or(declared);
  }
}
