package dev.millrace.config;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;

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
        .map(new Variables(System::getenv, complaints)::in)
        .map(root -> new AgentReader(file, complaints).read(new Field("", root, complaints)))
        .orElseGet(() -> new LoadedAgent.Invalid(complaints.ordered()));
  }

  /** The JSON Schema (draft 2020-12) of configurations, as maps, lists, strings and numbers. */
  public static Map<String, Object> schema() {
    return JsonSchema.of("Millrace KV agent", AgentKeys.AGENT);
  }

  /**
   * Whether a file is meant for an agent and not for a router: it has an agent's keys and none of a
   * routing table's. Of one that cannot be read the routing table's reader says why.
   */
  public static boolean isForAgent(Path file) {
    if (!(YamlFile.read(file) instanceof YamlFile.Text(String text))) {
      return false;
    }
    Complaints unheard = new Complaints(file.toString());
    return YamlText.compose(text, unheard)
        .flatMap(root -> new Field("", root, unheard).section())
        .map(section -> section.entries().keySet())
        .map(keys ->
            (keys.contains("side-channels") || keys.contains("token-file"))
                && !keys.contains("pools")
                && !keys.contains("routes"))
        .orElse(false);
  }
}
