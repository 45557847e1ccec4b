package dev.millrace.config;

import java.nio.file.Path;
import java.util.List;

/** Reads agents' configurations from YAML. Whatever the input, the answer is one or complaints. */
public final class AgentConfigs {
  private AgentConfigs() {}

  /**
   * Reads a file; complaints name it as it was given, and files that it names are looked for beside
   * it.
   */
  public static LoadedAgent read(Path file) {
    return switch (YamlFile.read(file)) {
      case YamlFile.Text(String text) -> parse(file, text);
      case YamlFile.Unreadable(Complaint complaint) -> new LoadedAgent.Invalid(List.of(complaint));
    };
  }

  /**
   * Reads a text.
   *
   * @param file what complaints call it, and beside what other files are looked for
   * @param text YAML 1.2
   */
  public static LoadedAgent parse(Path file, String text) {
    Complaints complaints = new Complaints(file.toString());
    return YamlText.compose(text, complaints)
        .map(root -> new AgentReader(file, complaints).read(new Field("", root, complaints)))
        .orElseGet(() -> new LoadedAgent.Invalid(complaints.ordered()));
  }
}
