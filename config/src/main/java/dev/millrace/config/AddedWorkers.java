package dev.millrace.config;

import java.util.Optional;

/** Reads workers that an operator adds: what a table says of one, and the pool that gets it. */
public final class AddedWorkers {
  private AddedWorkers() {}

  /**
   * Reads a text.
   *
   * @param name what complaints call it
   * @param text JSON, or YAML 1.2, which JSON is a part of
   */
  public static LoadedWorker parse(String name, String text) {
    Complaints complaints = new Complaints(name);
    Optional<Section> top =
        YamlText.compose(text, complaints)
            .flatMap(root -> new Field("", root, complaints).section());
    Optional<String> pool =
        top.flatMap(all -> all.require("pool", "the name of the pool that gets the worker"))
            .flatMap(Field::text);
    Optional<WorkerEntry> entry = top.flatMap(all -> WorkerEntry.read(all, WorkerSource.ADMIN));
    return complaints.none() && pool.isPresent() && entry.isPresent()
        ? new LoadedWorker.Valid(pool.get(), entry.get().worker())
        : new LoadedWorker.Invalid(complaints.ordered());
  }
}
