package dev.millrace.config;

/**
 * What is wrong at one place of a file.
 *
 * @param file name of the file, as the operator gave it
 * @param line from 1
 * @param column from 1
 * @param path the key, such as {@code pools.llama-d.workers[1].url}; empty for the file as a whole
 * @param message what is wrong with it and how to mend it
 */
public record Complaint(String file, int line, int column, String path, String message) {
  /** {@code routes.yaml:14:7: pools.llama-d.workers[1].url: "htp://…" is not an http(s) URL}. */
  @Override
  public String toString() {
    String place = "%s:%d:%d: ".formatted(file, line, column);
    return place + (path.isEmpty() ? message : path + ": " + message);
  }
}
