package dev.millrace.config;

import static dev.millrace.config.Complaints.quote;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The workers of all pools of a routing table, listed in it or in files that it names. */
final class WorkersReader {
  private final Path table;

  /** Where each worker address and side channel was listed first, by model and address. */
  private final Map<String, Field> listed = new HashMap<>();

  WorkersReader(Path table) {
    this.table = table;
  }

  /** Those of a list, which may be none; without those, after complaints, that are no workers. */
  List<WorkerAddress> listed(Field list, Optional<String> model) {
    return read(list.itemsOrNone().orElse(List.of()), model, WorkerSource.STATIC);
  }

  /** Those of a file, which may be none. */
  List<WorkerAddress> ofFile(Path file, Complaints complaints, Optional<String> model) {
    Complaints ofFile = complaints.beside(file.toString());
    return switch (YamlFile.read(file)) {
      case YamlFile.Text(String text) ->
          YamlText.compose(text, ofFile)
              .flatMap(root -> new Field("", root, ofFile).itemsOrNone())
              .map(items -> read(items, model, WorkerSource.FILE))
              .orElse(List.of());
      case YamlFile.Unreadable(Complaint complaint) -> {
        ofFile.add(complaint);
        yield List.of();
      }
    };
  }

  /** The file that a pool names, if it names one. */
  Optional<Path> file(Section pool) {
    return pool.find("workers-file").flatMap(field -> field.path(table));
  }

  private List<WorkerAddress> read(List<Field> items, Optional<String> model, WorkerSource source) {
    List<WorkerAddress> read = new ArrayList<>();
    items.forEach(item ->
        item.section()
            .flatMap(section -> WorkerEntry.read(section, source))
            .filter(entry -> isNew(entry, model))
            .ifPresent(entry -> read.add(entry.worker())));
    return read;
  }

  private boolean isNew(WorkerEntry entry, Optional<String> model) {
    WorkerAddress worker = entry.worker();
    // Pools of different models may share workers, as those of LoRA adapters do.
    String scope = model.orElse("") + " ";
    boolean isNew = isFirst(scope + worker.url(), entry.url(), worker.url().toString());
    for (int rank = 0; rank < worker.dataParallel() && isNew; rank++) {
      Optional<HostPort> ofRank = worker.sideChannel(rank);
      isNew =
          ofRank.isEmpty()
              || isFirst(
                  scope + ofRank.get(), entry.sideChannel().orElseThrow(), ofRank.get().toString());
    }
    return isNew;
  }

  private boolean isFirst(String key, Field field, String shown) {
    Field first = listed.putIfAbsent(key, field);
    if (first != null) {
      String file = first.complaints().file();
      field.complain(
          "%s is listed already, as %s on line %d%s; remove one of them"
              .formatted(
                  quote(shown),
                  first.path(),
                  Place.of(first.node()).line(),
                  file.equals(field.complaints().file()) ? "" : " of " + file));
    }
    return first == null;
  }
}
